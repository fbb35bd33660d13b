internal import TFTPStore

/// What a node says of a file, a line a field:
///
///     bootstorm 1
///     node 9f3a06c2d417be55
///     state holds
///     size 268435456
///     version file-1764050000
///     modified 1764050000
///     bytes 268435456
///     origins 7d1c40e2aa91b035
///     root 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
///     name sets/2026-11-29/boot/initrd
///
/// Fields that are not known are passed over, so that a later version may say more.
package struct Offer: Equatable, Sendable {
    /// Whether it has the file.
    package enum State: String, Sendable {
        /// The file is in the node's folder.
        case holds
        /// The node fetches it from a source that does not wait for others.
        case arriving
        /// It has it not, or waits for another node itself.
        case absent
    }

    /// The node that makes the offer.
    package var node: NodeID
    package var state: State
    /// Of what it has; nil where it has nothing.
    package var version: FileVersion?
    /// When the file was last written to, in seconds since 1970.
    package var modifiedSeconds: Int?
    /// Of the file's manifest; nil until the node has read the file.
    package var root: Digest?
    /// How much of the file is here, where it arrives or has begun to.
    package var byteCount: UInt64 = 0
    /// Where it has it not: why.
    package var pursuit: Pursuit?

    /// What a node without the file is doing about it.
    package enum Pursuit: String, Sendable {
        /// It is asking the origins just now.
        case looking
        /// It gets it from a node that fetches it.
        case waiting
    }

    /// Which origins the node has; nil where it does not say.
    package var origins: OriginsID?

    /// What to ask for to get just this, where the node has snapshots: the name that was asked
    /// about, in one of them.
    package var name: String?

    /// Of the text.
    package static let byteCountMax = 2048
    private static let heading = "bootstorm 1"

    /// See the properties.
    package init(node: NodeID, state: State, version: FileVersion? = nil, root: Digest? = nil) {
        self.node = node
        self.state = state
        self.version = version
        self.root = root
    }

    /// Nil for what no node says.
    package init?(_ text: String) {
        let lines = text.split(separator: "\n")
        guard lines.first.map(String.init) == Offer.heading else { return nil }
        var fields: [Substring: Substring] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2 else { return nil }
            fields[parts[0]] = parts[1]
        }
        guard let node = fields["node"].flatMap({ NodeID($0) }),
            let state = fields["state"].flatMap({ State(rawValue: String($0)) })
        else { return nil }
        self.init(node: node, state: state)
        byteCount = fields["bytes"].flatMap { UInt64($0) } ?? 0
        origins = fields["origins"].flatMap { OriginsID($0) }
        pursuit = fields["pursuit"].flatMap { Pursuit(rawValue: String($0)) }
        guard state != .absent else { return }
        guard let word = fields["version"] else { return nil }
        var size: UInt64?
        if let digits = fields["size"] {
            guard let value = UInt64(digits) else { return nil }
            size = value
        }
        version = FileVersion(size: size, word: String(word))
        modifiedSeconds = fields["modified"].flatMap { Int($0) }
        root = fields["root"].flatMap { Digest($0) }
        name = fields["name"].map(String.init)
    }

    /// The name that `file` has at the node that was asked about it.
    package func pin(of file: String) -> String? {
        guard let name, let parts = SnapshotLayout.parts(of: name), parts.name == file else {
            return nil
        }
        return name
    }

    /// As it is sent.
    package var text: String {
        var text = "\(Offer.heading)\nnode \(node)\nstate \(state.rawValue)\n"
        if let version {
            if let size = version.size { text += "size \(size)\n" }
            text += "version \(version.word)\n"
        }
        if let modifiedSeconds { text += "modified \(modifiedSeconds)\n" }
        if let root { text += "root \(root)\n" }
        if byteCount > 0 { text += "bytes \(byteCount)\n" }
        if let origins { text += "origins \(origins)\n" }
        if let pursuit { text += "pursuit \(pursuit.rawValue)\n" }
        if let name { text += "name \(name)\n" }
        return text
    }
}
