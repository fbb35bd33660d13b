/// What a node's folder has, as `.bootstorm/catalogue` tells it, a line a file:
///
///     bootstorm catalogue 1
///     file 268435456 1764050000 5f70bf18…3c6ef boot/initrd
///     signature MEUCIQ…
///
/// Size in bytes, seconds since 1970, the manifest's root, and the name. Lines of other kinds are
/// passed over.
package struct Listing: Equatable, Sendable {
    package struct File: Equatable, Sendable {
        package var name: String
        package var size: UInt64
        package var modifiedSeconds: Int
        /// 64 hexadecimal digits.
        package var root: String
    }

    package var files: [File]

    /// The name that a node is asked for.
    package static let name = ".bootstorm/catalogue"
    package static let byteCountMax = 64 << 20
    private static let heading = "bootstorm catalogue 1"

    package init(files: [File]) { self.files = files }

    /// nil if the text is not a valid listing.
    package init?(_ text: String) {
        let lines = text.split(separator: "\n")
        guard lines.first.map(String.init) == Listing.heading else { return nil }
        files = []
        for line in lines.dropFirst() where line.hasPrefix("file ") {
            let parts = line.split(separator: " ", maxSplits: 4)
            guard parts.count == 5, let size = UInt64(parts[1]), let modified = Int(parts[2])
            else { return nil }
            files.append(
                File(
                    name: String(parts[4]), size: size, modifiedSeconds: modified,
                    root: String(parts[3])))
        }
    }

    package var text: String {
        let lines = files.map { "file \($0.size) \($0.modifiedSeconds) \($0.root) \($0.name)\n" }
        return "\(Listing.heading)\n" + lines.joined()
    }

    /// Whether one of `keys` has signed the text that this was read from.
    package static func isSigned(_ text: String, by keys: [PeerNode.TrustedKey]) -> Bool {
        Signature.isSigned(text, by: keys)
    }
}

/// How a node is doing, as `.bootstorm/peers` tells it, a line a number and a line a peer:
///
///     bootstorm peers 1
///     files 12
///     fetches 3
///     origin-bytes 268435456
///     peer-bytes 0
///     client-bytes 10737418240
///     unverified-bytes 0
///     bad-chunks 0
///     failovers 0
///     peer 10.0.0.2:69 node 268435456 0
///     origin 10.0.0.9:69 plain 0 0
///
/// A peer's line has its address, what it is (node, plain, silent, unsealed, unknown), the bytes
/// that came from it, and how many chunks were not what they should be.
package struct PeerReport: Equatable, Sendable {
    package struct Line: Equatable, Sendable {
        package var isOrigin: Bool
        package var address: String
        package var state: String
        package var byteCount: UInt64
        package var badChunkCount: Int
    }

    /// In the order in which they are written.
    package var numbers: [(name: String, value: UInt64)]
    package var peers: [Line]

    package static let name = ".bootstorm/peers"
    package static let byteCountMax = 1 << 20
    private static let heading = "bootstorm peers 1"

    package init(numbers: [(name: String, value: UInt64)], peers: [Line]) {
        self.numbers = numbers
        self.peers = peers
    }

    package static func == (left: PeerReport, right: PeerReport) -> Bool {
        left.peers == right.peers && left.numbers.elementsEqual(right.numbers, by: ==)
    }

    /// nil if the text is not a valid report.
    package init?(_ text: String) {
        let lines = text.split(separator: "\n")
        guard lines.first.map(String.init) == PeerReport.heading else { return nil }
        (numbers, peers) = ([], [])
        for line in lines.dropFirst() {
            let parts = line.split(separator: " ")
            if parts.count == 2, let value = UInt64(parts[1]) {
                numbers.append((String(parts[0]), value))
            } else if parts.count >= 5, parts[0] == "peer" || parts[0] == "origin",
                let byteCount = UInt64(parts[3]), let badChunkCount = Int(parts[4])
            {
                peers.append(
                    Line(
                        isOrigin: parts[0] == "origin", address: String(parts[1]),
                        state: String(parts[2]), byteCount: byteCount,
                        badChunkCount: badChunkCount))
            }
        }
    }

    package var text: String {
        let numbers = numbers.map { "\($0.name) \($0.value)\n" }
        let peers = peers.map {
            "\($0.isOrigin ? "origin" : "peer") \($0.address) \($0.state) \($0.byteCount)"
                + " \($0.badChunkCount)\n"
        }
        return "\(PeerReport.heading)\n" + numbers.joined() + peers.joined()
    }
}
