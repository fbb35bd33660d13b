internal import TFTPCore
internal import TFTPServing
internal import TFTPStore

/// The store thread's answers.
extension Shard {
    mutating func takeReplies() {
        for _ in 0..<ShardLimits.repliesPerTurn {
            guard let reply = link.fromStore.take() else { return }
            learnMeaning(of: reply)
            notePath(of: reply)
            step(reply)
            performEffects()
        }
        // More are left than one turn takes: come round again at once.
        link.ring()
    }

    /// Notes the path of a transfer that an answer lets begin.
    private mutating func notePath(of reply: StoreReply) {
        switch reply {
        case .opened(let slot, let generation, _, _), .supplied(let slot, let generation, _, _, _),
            .uploadOpened(let slot, let generation, _, _):
            if server.table.isCurrent(Int(slot), generation: generation) { notePath(Int(slot)) }
        default: break
        }
    }

    private mutating func step(_ reply: StoreReply) {
        guard case .opened(let slot, let generation, let pending, let image) = reply else {
            return server.stepReply(reply, now: now)
        }
        identities[shared.imageIndex.identity(of: image)] = image
        server.stepOpened(
            slot, generation: generation, pending: pending, image,
            byteCount: shared.imageIndex.byteCount(of: image), now: now)
    }
}
