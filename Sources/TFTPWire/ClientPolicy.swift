/// What a server does for one kind of client. What must hold for all of them is not here: it is in
/// the transfer table.
package struct ClientPolicy: BitwiseCopyable, Sendable, Equatable {
    /// After how long an answer to the request is repeated, while nothing is known of the path. In
    /// windows after half of it.
    package var firstRepeatMilliseconds: UInt16 = 1000
    /// Whether a time-out in a window first repeats the window's last block, and not all of it.
    package var asksByLastBlock = true
    /// Whether an empty file has a `tsize`.
    package var tellsEmptySize = true

    /// What holds for a client of no known kind.
    package init() {}
}

/// The policies of all kinds of clients.
package struct ClientPolicies: Sendable, Equatable {
    /// By `Fingerprint.rawValue`.
    private var policies: [ClientPolicy]

    /// The policies that hold unless told otherwise, from the clients' sources.
    package init() {
        policies = Array(repeating: ClientPolicy(), count: Fingerprint.allCases.count)
        // They repair no loss by themselves.
        self[.grub].firstRepeatMilliseconds = 500
        self[.lwip].firstRepeatMilliseconds = 500
        // It takes a size of 0 for a failure.
        self[.curl].tellsEmptySize = false
    }

    /// The policy of one kind.
    package subscript(kind: Fingerprint) -> ClientPolicy {
        get { policies[Int(kind.rawValue)] }
        set { policies[Int(kind.rawValue)] = newValue }
    }
}

/// Why an override of a client's policy is rejected.
package enum ClientPolicyError: Error, Equatable {
    /// Not `KIND:key=value`.
    case malformed(String)
    case unknownKind(String)
    case unknownKey(String)
    /// The value, and what is allowed.
    case invalidValue(String, allowed: String)
}

extension ClientPolicies {
    /// The keys of a policy, in the order of the table.
    private enum Key: String, CaseIterable {
        case firstRepeat = "first-repeat"
        case askBy = "ask-by"
        case emptyTsize = "empty-tsize"
    }

    /// Applies `text`, which is `KIND:key=value`, to one kind of client, or to all of them as
    /// `all`.
    package mutating func override(_ text: String) throws(ClientPolicyError) {
        guard let colon = text.firstIndex(of: ":"),
            let equals = text[colon...].firstIndex(of: "=")
        else { throw .malformed(text) }
        let name = String(text[..<colon])
        let kinds = Fingerprint.allCases.filter {
            name == "all" || "\($0)".lowercased() == name.lowercased()
        }
        guard !kinds.isEmpty else { throw .unknownKind(name) }
        let key = String(text[text.index(after: colon)..<equals])
        guard let key = Key(rawValue: key) else { throw .unknownKey(key) }
        let value = String(text[text.index(after: equals)...])
        for kind in kinds { try set(key, to: value, of: kind) }
    }

    private mutating func set(
        _ key: Key, to value: String, of kind: Fingerprint
    ) throws(ClientPolicyError) {
        switch key {
        case .firstRepeat:
            guard let milliseconds = UInt16(value), 100...10_000 ~= milliseconds else {
                throw .invalidValue(value, allowed: "100 to 10000 (milliseconds)")
            }
            self[kind].firstRepeatMilliseconds = milliseconds
        case .askBy:
            guard value == "last-block" || value == "window" else {
                throw .invalidValue(value, allowed: "last-block or window")
            }
            self[kind].asksByLastBlock = value == "last-block"
        case .emptyTsize:
            guard value == "tell" || value == "omit" else {
                throw .invalidValue(value, allowed: "tell or omit")
            }
            self[kind].tellsEmptySize = value == "tell"
        }
    }

    /// The kinds and the keys that an override may name.
    package static var kindNames: [String] { Fingerprint.allCases.map { "\($0)" } }
    /// The keys that an override may name, in the order of the table.
    package static var keyNames: [String] { Key.allCases.map(\.rawValue) }

    /// One line a kind, each value as an override takes it.
    package var table: String {
        let lines = Fingerprint.allCases.map { kind in
            let policy = self[kind]
            let name = "\(kind):"
            let padding = String(repeating: " ", count: max(1, 13 - name.count))
            return
                "\(name)\(padding)first-repeat=\(policy.firstRepeatMilliseconds) "
                + "ask-by=\(policy.asksByLastBlock ? "last-block" : "window") "
                + "empty-tsize=\(policy.tellsEmptySize ? "tell" : "omit")"
        }
        return lines.joined(separator: "\n")
    }
}
