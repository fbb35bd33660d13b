/// What a rule writes in place of what it matched: text with groups and variables of the client.
///
/// `$1` and `${1}` are groups, `${word}` is a group of that name or a variable, `$0` is the whole
/// match, `$$` is a dollar. `${word|lower}` and `${word|upper}` change the case of ASCII letters.
package struct Replacement: Equatable, Sendable {
    enum Part: Equatable, Sendable {
        case text([UInt8])
        case group(Int, Fold)
        case variable(NameVariable, Fold)
    }

    enum Fold: String, Sendable { case none, lower, upper }

    let parts: [Part]

    /// The variables that it uses.
    package var variables: [NameVariable] {
        parts.compactMap { if case .variable(let variable, _) = $0 { variable } else { nil } }
    }

    /// Reads a replacement of a rule with these groups.
    ///
    /// - Throws: what is wrong with it, in words.
    init(
        _ text: String, groupCount: Int, groupNames: [String: Int]
    ) throws(ReplacementError) {
        var parts: [Part] = []
        var literal: [UInt8] = []
        var rest = Substring(text)
        while let character = rest.popFirst() {
            guard character == "$" else {
                literal += String(character).utf8
                continue
            }
            if rest.first == "$" {
                rest.removeFirst()
                literal.append(UInt8(ascii: "$"))
                continue
            }
            let word = try Replacement.word(&rest)
            if !literal.isEmpty { parts.append(.text(literal)) }
            literal = []
            parts.append(try Replacement.part(word, groupCount, groupNames))
        }
        if !literal.isEmpty { parts.append(.text(literal)) }
        self.parts = parts
    }

    /// What stands behind a dollar: digits, or anything in braces.
    private static func word(_ rest: inout Substring) throws(ReplacementError) -> String {
        if rest.first == "{" {
            guard let end = rest.firstIndex(of: "}") else {
                throw ReplacementError(text: "'${' without '}'")
            }
            let word = String(rest[rest.index(after: rest.startIndex)..<end])
            rest = rest[rest.index(after: end)...]
            return word
        }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }.prefix(2)
        guard !digits.isEmpty else {
            throw ReplacementError(
                text: "'$' stands before a number or a name in braces; '$$' is a dollar")
        }
        rest = rest.dropFirst(digits.count)
        return String(digits)
    }

    private static func part(
        _ word: String, _ groupCount: Int, _ groupNames: [String: Int]
    ) throws(ReplacementError) -> Part {
        let pieces = word.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        let name = pieces[0]
        var fold = Fold.none
        if pieces.count > 1 {
            guard pieces.count == 2, let found = Fold(rawValue: pieces[1]), found != .none else {
                throw ReplacementError(text: "'${\(word)}': allowed behind '|' are lower and upper")
            }
            fold = found
        }
        if let number = Int(name) {
            guard number <= groupCount else {
                throw ReplacementError(text: "no group \(number)")
            }
            return .group(number, fold)
        }
        if let number = groupNames[name] { return .group(number, fold) }
        guard let variable = NameVariable(name: name) else {
            let allowed = NameVariable.names.joined(separator: ", ")
            throw ReplacementError(
                text: "no group or variable '\(name)'; variables are \(allowed)")
        }
        return .variable(variable, fold)
    }

    /// Fills in; nil when a variable is not known for this client.
    func expanded(_ name: [UInt8], _ match: NameMatch?, _ request: NameRequest) -> [UInt8]? {
        var result: [UInt8] = []
        for part in parts {
            switch part {
            case .text(let text): result += text
            case .group(let number, let fold):
                guard let range = match?[number] else { continue }
                result += Replacement.fold(Array(name[range]), fold)
            case .variable(let variable, let fold):
                guard let value = variable.value(for: request) else { return nil }
                result += Replacement.fold(Array(value.utf8), fold)
            }
        }
        return result
    }

    private static func fold(_ bytes: [UInt8], _ fold: Fold) -> [UInt8] {
        switch fold {
        case .none: bytes
        case .lower: bytes.map(\.lowercased)
        case .upper: bytes.map(\.uppercased)
        }
    }
}

/// Why a replacement is not accepted.
struct ReplacementError: Error, Equatable, Sendable {
    let text: String
}

/// What a rule or a template can say of the client.
package enum NameVariable: Equatable, Hashable, Sendable {
    /// `192.0.2.10`.
    case ip
    /// `C000020A`.
    case ipHexadecimal
    /// `01-b8-27-eb-01-02-03`, as PXELINUX writes it.
    case mac
    /// `b8:27:eb:01:02:03`.
    case macColons
    /// `b8-27-eb-01-02-03`.
    case macHyphens
    /// The address that was asked.
    case server
    /// From the hosts file.
    case host
    case serial
    case kind
    /// Another column of the hosts file.
    case field(String)

    static let names = [
        "ip", "ip-hex", "mac", "mac-colons", "mac-hyphens", "server", "host", "serial", "kind",
        "host.COLUMN",
    ]

    package init?(name: String) {
        switch name {
        case "ip": self = .ip
        case "ip-hex": self = .ipHexadecimal
        case "mac": self = .mac
        case "mac-colons": self = .macColons
        case "mac-hyphens": self = .macHyphens
        case "server": self = .server
        case "host": self = .host
        case "serial": self = .serial
        case "kind": self = .kind
        default:
            guard name.hasPrefix("host."), name.utf8.count > 5 else { return nil }
            self = .field(String(name.dropFirst(5)))
        }
    }

    /// The value for a request; nil while it is not known.
    ///
    /// What comes from a file or from the name is refused when it would lead into another folder.
    package func value(for request: NameRequest) -> String? {
        switch self {
        case .ip: request.client.numericText
        case .ipHexadecimal: NameText.hexadecimal(request.client)
        case .mac: request.mac?.pxe
        case .macColons: request.mac?.description
        case .macHyphens: request.mac?.hyphenated
        case .server: request.server.numericText
        case .host: request.hostName.flatMap(NameVariable.component)
        case .serial: request.serial.flatMap(NameVariable.component)
        case .kind: "\(request.kind)"
        case .field(let key): request.hostFields[key]
        }
    }

    /// A value that is to be one component of a path.
    private static func component(_ value: String) -> String? {
        let isPlain = !value.isEmpty && value != "." && value != ".." && !value.contains("/")
        return isPlain ? value : nil
    }

    /// Inputs of the value other than the name.
    package var dependencies: NameDependencies {
        switch self {
        case .ip, .ipHexadecimal: .client
        case .kind: .kind
        case .server: .server
        case .mac, .macColons, .macHyphens, .host, .serial, .field: [.client, .host]
        }
    }
}
