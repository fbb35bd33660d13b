internal import CLinux
internal import Synchronization

/// A POSIX extended regular expression: of all matches that begin first, the longest.
///
/// Without back-references the C library runs an automaton, whose time grows with the length of the
/// name. It keeps the states it has met, so the expression is compiled anew from time to time:
/// hostile names cannot make it grow for ever. With back-references the library may need
/// exponential time, and `NamePattern` takes its place.
package final class POSIXPattern: Sendable {
    package let text: String
    private let ignoresCase: Bool
    /// Whether the library may need time that grows with the square of the name's length.
    private let isQuadratic: Bool
    private let library: Mutex<Library>
    /// For an expression with back-references.
    private let bounded: NamePattern?
    /// Rules out most names; nil for an expression that only the library reads.
    private let filter: NamePattern?

    /// Matches between two compilations.
    private static let matchesMax = 100_000
    /// What repetitions within each other may come to. The library copies what is repeated.
    private static let repeatsMax = 10_000
    /// The largest size that is compiled: about 40 MiB.
    private static let compiledSizeMax = 65_536
    /// The longest name. The automaton takes about 20 ns a byte.
    static let nameByteCountMax = 4096

    /// @safe: the pointer is the only one, and freed with the struct.
    @safe
    private struct Library: ~Copyable, @unchecked Sendable {
        let compiled: OpaquePointer
        var matchCount = 0

        deinit { unsafe clinux_regex_free(compiled) }
    }

    /// - Throws: what the C library says of the expression, or that it is too large.
    package init(_ text: String, ignoresCase: Bool = false) throws(PatternError) {
        guard text.utf8.count <= NamePattern.byteCountMax,
            POSIXPattern.repeats(in: text) <= POSIXPattern.repeatsMax,
            POSIXPattern.compiledSize(of: text) <= POSIXPattern.compiledSizeMax
        else { throw .tooLarge }
        self.text = text
        self.ignoresCase = ignoresCase
        let isAnchored = text.hasPrefix("^") && !text.contains("|")
        isQuadratic = !isAnchored && text.contains { "*+{".contains($0) }
        library = Mutex(try POSIXPattern.compile(text, ignoresCase: ignoresCase))
        bounded =
            POSIXPattern.hasReference(text)
            ? try NamePattern(posixExtended: text, ignoresCase: ignoresCase) : nil
        filter = bounded ?? (try? NamePattern(posixExtended: text, ignoresCase: ignoresCase))
    }

    private static func compile(
        _ text: String, ignoresCase: Bool
    ) throws(PatternError) -> Library {
        var message = [CChar](repeating: 0, count: 128)
        let count = UInt32(message.count)
        let compiled = unsafe message.withUnsafeMutableBufferPointer { buffer in
            // The library writes at most `count` bytes, NUL included.
            unsafe clinux_regex_compile(text, ignoresCase, buffer.baseAddress, count)
        }
        guard let compiled = unsafe compiled else {
            let bytes = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            throw .library(String(decoding: bytes, as: UTF8.self))
        }
        return unsafe Library(compiled: compiled)
    }

    /// Finds the match in `name`, which holds no NUL, at `start` or behind it. A match that begins
    /// at a later `start` than 0 sees the rest of the name only, as `sed` does when it replaces
    /// all.
    ///
    /// - Throws: when the name is too long, or when the steps do not suffice.
    package func match(
        _ name: [UInt8], from start: Int = 0, steps: inout Int
    ) throws(StepsExhausted) -> NameMatch? {
        guard name.count <= POSIXPattern.nameByteCountMax, steps > 0 else {
            throw StepsExhausted()
        }
        if let bounded { return try bounded.match(name, from: start, steps: &steps) }
        if let filter, filter.isRuledOut(name, from: start, steps: &steps) { return nil }
        let byteCount = name.count - start
        // A search from every position may look at the rest of the name each time.
        steps -= 1 + (isQuadratic ? byteCount * byteCount : byteCount) / 16
        var places = [Int32](repeating: -1, count: 20)
        guard matches(name[start...], isRest: start > 0, &places) else { return nil }
        return NameMatch(places.map { $0 < 0 ? $0 : $0 + Int32(start) })
    }

    private func matches(
        _ rest: ArraySlice<UInt8>, isRest: Bool, _ places: inout [Int32]
    ) -> Bool {
        let bytes = rest.map { CChar(bitPattern: $0) } + [0]
        return library.withLock { library in
            renew(&library)
            // Both buffers outlive the call, the text ends with a NUL, and `places` has 20
            // elements.
            return unsafe bytes.withUnsafeBufferPointer { text in
                unsafe places.withUnsafeMutableBufferPointer { places in
                    unsafe clinux_regex_match(
                        library.compiled, text.baseAddress, isRest, places.baseAddress)
                }
            }
        }
    }

    /// Forgets the states of the automaton from time to time.
    private func renew(_ library: inout Library) {
        library.matchCount += 1
        guard library.matchCount > POSIXPattern.matchesMax else { return }
        if let fresh = try? POSIXPattern.compile(text, ignoresCase: ignoresCase) {
            library = fresh
        }
    }

    // MARK: Judging

    /// Whether a back-reference stands outside of all brackets.
    private static func hasReference(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\\"):
                if index + 1 < bytes.count, (0x31...0x39).contains(bytes[index + 1]) { return true }
                index += 2
            case UInt8(ascii: "["): index = endOfBracket(bytes, from: index)
            default: index += 1
            }
        }
        return false
    }

    /// Behind the `]` that ends the bracket expression at `begin`. A first `]` is a member, and so
    /// is one in `[:name:]`.
    static func endOfBracket(_ bytes: [UInt8], from begin: Int) -> Int {
        var index = begin + 1
        if index < bytes.count, bytes[index] == UInt8(ascii: "^") { index += 1 }
        if index < bytes.count, bytes[index] == UInt8(ascii: "]") { index += 1 }
        while index < bytes.count, bytes[index] != UInt8(ascii: "]") {
            let isNested =
                bytes[index] == UInt8(ascii: "[") && index + 1 < bytes.count
                && [UInt8(ascii: ":"), UInt8(ascii: "."), UInt8(ascii: "=")]
                    .contains(bytes[index + 1])
            guard isNested else {
                index += 1
                continue
            }
            let kind = bytes[index + 1]
            index += 2
            while index + 1 < bytes.count,
                bytes[index] != kind || bytes[index + 1] != UInt8(ascii: "]")
            {
                index += 1
            }
            index += 2
        }
        return index + 1
    }
}
