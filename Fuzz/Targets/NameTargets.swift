import TFTPNames
import TFTPStore
import TFTPWire

/// A name is in the one spelling, and normalising it again changes nothing.
let nameTarget = FuzzTarget(
    "name",
    texts: [
        "/boot/x", "C:\\boot\\.\\x", "..//.././a", "a/..", "./C:x/", "\u{E4}\u{FF}", "a\0b",
        String(repeating: "a/", count: 511) + "b",
    ],
    words: ["/", "\\", ".", "..", "./", "../", "C:", "//", " ", "\0", "a"]
) { input, hasMistake in
    let name: FileName
    do throws(NameError) {
        name = try unsafe FileName(normalising: input.span.bytes)
    } catch {
        return nil
    }
    var bytes = name.bytes.copied
    // The canary keeps a second slash.
    if hasMistake && input.starts(with: Array("..//".utf8)) { bytes.insert(0x2F, at: 0) }
    let parts = bytes.split(separator: 0x2F, omittingEmptySubsequences: false)
    guard parts.allSatisfy({ !$0.isEmpty && $0 != [0x2E] && !$0.contains(0) }) else {
        return "another spelling"
    }
    guard bytes.count <= FileName.byteCountMax, !bytes.contains(0x5C) else { return "too long" }
    let again = try? unsafe FileName(normalising: bytes.span.bytes)
    // That it means a folder can be seen in the first spelling only.
    return again?.bytes.copied == name.bytes.copied ? nil : "normalising again changes it"
}

private let hpaMap = """
    ri ^[a-z]: # Remove drive letters
    rg \\\\ /
    rg /../ /..no../
    e ^ok/
    r ^[^/] /tftpboot/\\0
    a \\.pvt$
    """

/// Map files of others: rules that are read are run, and end. The first NUL ends the rules, and the
/// name follows.
let mapRuleTarget = FuzzTarget(
    "map-rules",
    texts: [
        hpaMap + "\0C:\\boot\\x", "r b \\U\\0x\\Ey\0abc", "rg a bb\0aca", "j x\nr a b\n:x\0a",
        "r (.)\\1 <\\1>\0abba", "^boot/(.*)$ pi/$1\0boot/x", "a ${1}\n(b) $1\0b",
        "rs a aa\0a", "E x\nr a|ab x\0abc",
        "r f++++++++++++++++++++++++++++++++++++++++++++++++{$ x\0f",
    ],
    words: [
        "r", "rg", "ri", "rs", "a~", "\\0", "\\1", "\\i", "\\x", "^", "(", ")*", "$1", "\n", "\0",
    ]
) { input, hasMistake in
    let end = input.firstIndex(of: 0) ?? input.count
    let name = Array(input[end...].dropFirst().prefix { $0 != 0 })
    let request = NameRequest(name: name)
    if let rules = try? HPARules(Array(input[..<end])) {
        // The canary allows no name to grow.
        let longest = hasMistake ? max(16, name.count) : NameLimits.nameByteCountMax
        if case .name(let result) = rules.run(request, exists: { $0.count % 2 == 0 }),
            result.count > longest
        {
            return "a name of \(result.count) bytes"
        }
    }
    if let rules = try? PCRERules(Array(input[..<end])),
        case .name(let result) = rules.run(request), result.count > 255
    {
        return "a name of \(result.count) bytes, for atftpd"
    }
    return nil
}

/// Expressions of our own rules, in the same form. A match lies in the name, and takes no more
/// steps than it may.
let patternTarget = FuzzTarget(
    "pattern",
    texts: [
        "^boot/(?<dir>[a-z]+)/(.*)$\0boot/ab/c", "(a|ab)(c|bcd)*\0abcd", "(a*)*b\0aaaaaaaaaaaaaaaa",
        "[^/\\]]{2,3}\\d\\w?\0xy1", "(?:x+x+)+y\0xxxxxxxxxxxxxxxx", "\\x41[[:digit:]]\0A1",
    ],
    words: ["(", ")", "(?:", "(?<a>", "[", "]", "[^", "*", "+?", "{1,}", "{0,200}", "|", "\\", "$"]
) { input, hasMistake in
    let end = input.firstIndex(of: 0) ?? input.count
    let name = Array(input[end...].dropFirst())
    guard let pattern = try? NamePattern(String(decoding: input[..<end], as: UTF8.self)) else {
        return nil
    }
    var steps = NameLimits.stepsMax
    guard let match = try? pattern.match(name, steps: &steps) else {
        // The canary takes what runs out of steps for a mistake.
        return steps < 0 || (hasMistake && steps == 0) ? "\(steps) steps are left" : nil
    }
    guard steps >= 0, match.range.upperBound <= name.count else { return "a match outside" }
    for group in 0...pattern.groupCount {
        if let range = match[group], !(0...name.count).contains(range.upperBound) {
            return "a group outside"
        }
    }
    return nil
}

extension RawSpan {
    fileprivate var copied: [UInt8] { byteOffsets.map { byte(at: $0) } }
}
