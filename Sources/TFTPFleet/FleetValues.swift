internal import FoundationEssentials

/// What a node tells of itself.
package struct NodeReport: Codable, Equatable, Sendable {
    /// Where its clients ask.
    package var address: String
    /// The set that newcomers get from it; nil for none.
    package var serving: String?
    /// The staged sets that it has completely.
    package var ready: [String] = []
    package var isDraining = false
    package var version = ""
    /// Which start of which host the node runs on; nil where it cannot be told.
    package var boot: String?
    /// A random word of the node's process: two that have one name can be told apart.
    package var process: String?

    /// A node that serves nothing yet.
    package init(address: String) { self.address = address }

    /// Whether the other report is of another node under the same name, and not of this node's
    /// earlier or later process.
    package func clashes(with other: NodeReport) -> Bool {
        guard let process, let theirs = other.process, process != theirs else { return false }
        return address != other.address || boot != other.boot
    }
}

/// What a scope serves, and since when.
package struct CurrentSet: Codable, Equatable, Sendable {
    package var set: String
    /// What was served before; nil for nothing.
    package var previous: String?
    /// The user who gave the order.
    package var by: String
    /// Seconds since 1970. An older word never replaces a newer one at a node, as after a restored
    /// backup.
    package var at: Int
    package var reason: String?

    /// See the properties.
    package init(set: String, previous: String?, by: String, at: Int, reason: String?) {
        (self.set, self.previous, self.by, self.at, self.reason) = (set, previous, by, at, reason)
    }

    /// The times that a word may have, until the end of the year 9999: each must be able to be
    /// followed by a later one.
    package static let atRange = 0...253_402_300_799

    /// - Throws: `DecodingError` also for a time out of `atRange`.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        set = try values.decode(String.self, forKey: .set)
        previous = try values.decodeIfPresent(String.self, forKey: .previous)
        by = try values.decode(String.self, forKey: .by)
        at = try values.decode(Int.self, forKey: .at)
        reason = try values.decodeIfPresent(String.self, forKey: .reason)
        guard CurrentSet.atRange.contains(at) else {
            throw DecodingError.dataCorruptedError(
                forKey: .at, in: values, debugDescription: "not a time")
        }
    }
}

/// What a scope is to fetch.
package struct StagedSet: Codable, Equatable, Sendable {
    package var set: String
    package var by: String
    package var at: Int

    /// See the properties.
    package init(set: String, by: String, at: Int) { (self.set, self.by, self.at) = (set, by, at) }
}

/// What a node is told to do.
package struct NodeOrder: Codable, Equatable, Sendable {
    package var isDraining: Bool

    /// See the property.
    package init(isDraining: Bool) { self.isDraining = isDraining }
}

/// Values as they stand in the engine: JSON whose unknown fields are passed over.
package enum FleetValue {
    package static let byteCountMax = 8 << 10

    /// One line.
    package static func text(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings, numbers and lists of them can always be written.
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// nil if the text is not a valid value.
    package static func read<Value: Decodable>(_ type: Value.Type, _ text: String) -> Value? {
        guard text.utf8.count <= byteCountMax else { return nil }
        return try? JSONDecoder().decode(type, from: Data(text.utf8))
    }
}
