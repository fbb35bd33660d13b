/// One line of a map file of tftp-hpa.
package struct HPARule: Sendable {
    /// Counted from 1.
    package let line: Int
    var operations: Operations
    /// nil for a label.
    var expression: POSIXPattern?
    /// The replacement, the message of `a`, the target of `j`, or the name of a label.
    var pattern: [UInt8] = []

    /// Each is a letter of the rule: that of bit `n` is `letters[n]`.
    struct Operations: OptionSet, Sendable {
        let rawValue: UInt16

        /// No word of a rule has a space, which stands for `gg` here.
        private static let letters = Array("rg eEsaj~i46GP".utf8)

        /// nil for a letter without a meaning.
        init?(letter: UInt8) {
            guard let bit = Operations.letters.firstIndex(of: letter) else { return nil }
            rawValue = 1 << bit
        }

        init(rawValue: UInt16) { self.rawValue = rawValue }

        static let rewrite = Operations(rawValue: 1 << 0)
        static let global = Operations(rawValue: 1 << 1)
        /// `gg`: go on behind what was replaced, as `sed` does.
        static let globalOnce = Operations(rawValue: 1 << 2)
        static let exit = Operations(rawValue: 1 << 3)
        static let exitIfFile = Operations(rawValue: 1 << 4)
        static let restart = Operations(rawValue: 1 << 5)
        static let abort = Operations(rawValue: 1 << 6)
        static let jump = Operations(rawValue: 1 << 7)
        static let inverse = Operations(rawValue: 1 << 8)
        static let ignoreCase = Operations(rawValue: 1 << 9)
        static let onlyIPv4 = Operations(rawValue: 1 << 10)
        static let onlyIPv6 = Operations(rawValue: 1 << 11)
        static let onlyRead = Operations(rawValue: 1 << 12)
        static let onlyWrite = Operations(rawValue: 1 << 13)
    }

    /// Of `G` and `P` the one that was written last.
    var lastDirection: Operations = []

    var isLabel: Bool { expression == nil }
}

/// Reads map files of tftp-hpa.
struct HPARuleParser {
    /// The longest line that tftpd-hpa 5.2 reads, in bytes.
    static let lineByteCountMax = 16_383

    private let line: Int
    private var rest: ArraySlice<UInt8>

    init(line: Int, _ bytes: ArraySlice<UInt8>) {
        self.line = line
        rest = bytes
    }

    /// The rule of the line; nil where there is none.
    mutating func parse() throws(RuleFileError) -> HPARule? {
        guard rest.count <= HPARuleParser.lineByteCountMax else { throw error(.lineTooLong) }
        let word = nextWord()
        guard !word.isEmpty else { return nil }
        if word.first == UInt8(ascii: ":") && word.count > 1 {
            return HPARule(line: line, operations: [], pattern: Array(word.dropFirst()))
        }
        let operations = try operations(of: word)
        let expression = nextWord()
        guard !expression.isEmpty else { throw error(.noExpression) }
        var rule = HPARule(line: line, operations: operations)
        if let last = word.last(where: { $0 == UInt8(ascii: "G") || $0 == UInt8(ascii: "P") }) {
            rule.lastDirection = last == UInt8(ascii: "G") ? .onlyRead : .onlyWrite
        }
        let text = String(decoding: expression, as: UTF8.self)
        do throws(PatternError) {
            rule.expression = try POSIXPattern(
                text, ignoresCase: operations.contains(.ignoreCase))
        } catch {
            throw RuleFileError(line: line, .expression(text, error))
        }
        rule.pattern = nextWord()
        return rule
    }

    private func error(_ problem: RuleFileError.Problem) -> RuleFileError {
        RuleFileError(line: line, problem)
    }

    /// Up to white space or `#`, either of which a backslash makes part of the word. Backslashes
    /// stay.
    private mutating func nextWord() -> [UInt8] {
        rest = rest.drop(while: HPARuleParser.isSpace)
        var word: [UInt8] = []
        var isEscaped = false
        while let byte = rest.first {
            if !isEscaped && (HPARuleParser.isSpace(byte) || byte == UInt8(ascii: "#")) { break }
            isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
            word.append(byte)
            rest = rest.dropFirst()
        }
        return word
    }

    private static func isSpace(_ byte: UInt8) -> Bool { ByteSet.space.contains(byte) }

    private func operations(of word: [UInt8]) throws(RuleFileError) -> HPARule.Operations {
        var operations: HPARule.Operations = []
        for byte in word {
            if byte == UInt8(ascii: "g") && operations.contains(.global) {
                operations.insert(.globalOnce)
                continue
            }
            guard let operation = HPARule.Operations(letter: byte) else {
                throw error(.unknownOperation(Character(UnicodeScalar(byte))))
            }
            operations.insert(operation)
        }
        if operations.contains([.rewrite, .inverse]) { throw error(.conflict("r", "~")) }
        if !operations.contains(.rewrite) { operations.subtract([.global, .globalOnce]) }
        return operations
    }
}
