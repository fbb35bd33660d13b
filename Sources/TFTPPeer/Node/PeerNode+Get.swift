internal import Logging
internal import TFTPClient
internal import TFTPCore
internal import TFTPFetch

/// Getting files from a group of nodes for oneself.
extension PeerNode {
    /// What a file came to.
    public struct Fetched: Hashable, Sendable {
        public let byteCount: UInt64
        /// Whether every chunk was compared with a manifest.
        public let isVerified: Bool
        /// How many nodes and origins sent some of it.
        public let sourceCount: Int
    }

    /// Why the file could not be fetched.
    public enum GetFailure: Error, Hashable, CustomStringConvertible {
        case notFound(name: String)
        /// No peer answers.
        case unreachable(name: String)
        /// No peer answers under a seal.
        case notSealed(name: String)
        /// The file may exist, but the nodes that would know do not answer, or are not trusted.
        case uncertain(name: String)

        /// One line.
        public var description: String {
            switch self {
            case .notFound(let name): "no node has a file \(PrintableName.quoted(name))"
            case .unreachable(let name):
                "no node answers that may have \(PrintableName.quoted(name))"
            case .notSealed(let name):
                "\(PrintableName.quoted(name)) may be there, but the nodes do not seal, or have other keys"
            case .uncertain(let name):
                "\(PrintableName.quoted(name)) may exist, but the nodes that would know do not answer, or it has no trusted signature"
            }
        }
    }

    /// Gets a file from the nodes that have it: from several at once if possible, and verified if a
    /// node has a manifest.
    ///
    /// - Parameter sink: takes the bytes in order. The bytes before a failure are the beginning of
    ///   the file, verified as far as possible.
    public func get(
        _ name: String, to sink: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws -> Fetched {
        let resolution = await find(name, mayWait: true)
        guard let version = resolution.version, !resolution.isUncertain else {
            throw failure(of: resolution)
        }
        let before = peers.map(\.byteCount)
        let counter = Counter()
        try await feed(resolution, version) { bytes in
            try await sink(bytes)
            await counter.add(bytes.count)
        }
        return Fetched(
            byteCount: await counter.value, isVerified: resolution.manifest != nil,
            sourceCount: zip(before, peers).count { $0 < $1.byteCount })
    }

    private func failure(of resolution: Resolution) -> GetFailure {
        if peers.contains(where: { $0.kind == .unsealed }) {
            return .notSealed(name: resolution.name)
        }
        if resolution.isUncertain { return .uncertain(name: resolution.name) }
        let isHeard = !origins.isEmpty || peers.contains { $0.kind != .unknown }
        return isHeard ? .notFound(name: resolution.name) : .unreachable(name: resolution.name)
    }

    /// Adds the peers that the peers know.
    public func learnPeers() async {
        for index in peers.indices where !peers[index].isOrigin {
            guard let report = try? await report(of: index) else { continue }
            for line in report.peers where !line.isOrigin && line.state != "silent" {
                guard let server = try? TFTPClient.Server(line.address) else { continue }
                add(server)
            }
        }
    }

    private func report(of index: Int) async throws -> PeerReport? {
        do {
            let text = try await source(index).text(
                of: PeerReport.name, byteCountMax: PeerReport.byteCountMax)
            return PeerReport(text)
        } catch {
            noteFailure(index, error)
            throw error
        }
    }
}

private actor Counter {
    private(set) var value: UInt64 = 0

    func add(_ count: Int) { value += UInt64(count) }
}
