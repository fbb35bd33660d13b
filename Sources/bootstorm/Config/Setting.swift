/// One setting of `serve`: a flag, a key of the configuration file and an environment variable, all
/// of one name.
///
/// `Setting.all` is the only list of them. The file, the environment, the annotated example and the
/// guide's table come from it, and a test compares it with the flags of `serve`.
struct Setting: Sendable {
    /// The name of the flag without its dashes.
    let key: String
    /// What values are allowed.
    let kind: Kind
    /// Whether it may be given several times; in the file as a list.
    var isRepeatable = false
    /// When a changed value takes effect in a running server.
    var effect = Effect.atRestart
    /// What the example file shows; the default where there is one.
    let example: [String]
    /// What it does, in a sentence or two.
    let help: String

    /// The values that a setting allows.
    enum Kind: Sendable {
        case flag
        case integer(ClosedRange<Int>)
        /// A number in the range, or this word.
        case integerOr(String, ClosedRange<Int>)
        case byteCount(ClosedRange<Int>)
        case word([String])
        /// What `isValid` says yes to, told in words.
        case text(expected: String, isValid: @Sendable (String) -> Bool)
    }

    /// When a changed value takes effect.
    enum Effect: Sendable {
        case atReload
        case atRestart
    }

    /// The environment variable: `BOOTSTORM_` and the key in upper case.
    var variable: String {
        Setting.variablePrefix + key.uppercased().replacing("-", with: "_")
    }

    static let variablePrefix = "BOOTSTORM_"

    /// What is allowed, for messages.
    var expected: String {
        switch kind {
        case .flag: "true or false"
        case .integer(let range): "a number within \(range.text)"
        case .integerOr(let word, let range): "'\(word)' or a number within \(range.text)"
        case .byteCount(let range): "a number of bytes within \(range.byteText)"
        case .word(let words): "one of \(words.joined(separator: ", "))"
        case .text(let expected, _): expected
        }
    }

    /// What is wrong with a value, to be put behind the key; nil if it is allowed.
    func problem(with value: String) -> String? {
        switch kind {
        case .flag:
            return Setting.boolean(value) == nil ? "'\(value)' is not \(expected)" : nil
        case .integer(let range):
            return Setting.problem(with: value, Int(value), range, range.text, expected)
        case .integerOr(let word, let range):
            if value == word { return nil }
            return Setting.problem(with: value, Int(value), range, range.text, expected)
        case .byteCount(let range):
            let count = ByteCount(argument: value)?.value
            return Setting.problem(with: value, count, range, range.byteText, expected)
        case .word(let words):
            return words.contains(value) ? nil : "'\(value)' is not \(expected)"
        case .text(_, let isValid):
            guard !isValid(value) else { return nil }
            return "'\(URLSecrets([value]).removed(from: value))' is not \(expected)"
        }
    }

    private static func problem(
        with value: String, _ number: Int?, _ range: ClosedRange<Int>, _ rangeText: String,
        _ expected: String
    ) -> String? {
        guard let number else { return "'\(value)' is not \(expected)" }
        return range.contains(number) ? nil : "\(value) is not within \(rangeText)"
    }

    /// A truth value as YAML 1.1 and people write it.
    static func boolean(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on", "1": true
        case "false", "no", "off", "0": false
        default: nil
        }
    }
}

extension ClosedRange<Int> {
    /// `8…65464`.
    var text: String { "\(lowerBound)…\(upperBound)" }

    /// `16M…1T`.
    var byteText: String {
        let bounds = (ByteCount(lowerBound), ByteCount(upperBound))
        return "\(bounds.0.defaultValueDescription)…\(bounds.1.defaultValueDescription)"
    }
}
