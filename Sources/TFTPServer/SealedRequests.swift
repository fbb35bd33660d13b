internal import Synchronization

/// Which sealed requests are being answered.
///
/// A client's own repeats of its request go to its transfer and are not seen here. So a second copy
/// of a request that is being answered is a replay of a recorded packet.
final class SealedRequests: Sendable {
    private let identities = Mutex<Set<[UInt8]>>([])

    /// While it is there, no copy of its request is answered.
    final class Use: Sendable {
        private let identity: [UInt8]
        private let requests: SealedRequests

        fileprivate init(_ identity: [UInt8], of requests: SealedRequests) {
            self.identity = identity
            self.requests = requests
        }

        deinit { requests.end(identity) }
    }

    /// nil for a copy of a request that is being answered.
    func begin(_ identity: [UInt8]) -> Use? {
        let isNew = identities.withLock { $0.insert(identity).inserted }
        return isNew ? Use(identity, of: self) : nil
    }

    private func end(_ identity: [UInt8]) {
        _ = identities.withLock { $0.remove(identity) }
    }
}
