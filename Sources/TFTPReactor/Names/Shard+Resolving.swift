internal import CLinux
internal import Files
internal import TFTPCore
internal import TFTPNames
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// Requests whose names mean what rules say.
extension Shard {
    /// Looks for what the name means, where the shard knows that; else the store finds out.
    mutating func lookForMeaning(_ slot: Int) {
        let pending = server.lookedRequest
        let client = server.table.flow(of: slot).peer.address
        guard pending.opcode == .rrq, let meaning = names.meaning(of: pending, client),
            shared.root.isCurrent()
        else { return server.stepUnknown(slot) }
        var status = clinux_status()
        switch look(
            for: meaning.name, in: shared.names.trees.directory(of: Int(meaning.tree)), &status)
        {
        case .wait, .failed: server.stepUnknown(slot)
        // Another spelling may be meant.
        case .notFound where pending.name.strippingTrailingJunk() != nil: server.stepUnknown(slot)
        case .notFound: server.stepNotFound(slot)
        case .found: stepLooked(slot, status)
        }
    }

    /// Remembers what the store has found out about the name of a request.
    mutating func learnMeaning(of reply: StoreReply) {
        guard names.isActive else { return }
        switch reply {
        case .opened(let slot, let generation, let pending, _),
            .refused(let slot, let generation, let pending, .notFound):
            guard server.table.isCurrent(Int(slot), generation: generation) else { return }
            let request = unsafe link.pendings[Int(pending)]
            names.learn(pending, request, server.table.flow(of: Int(slot)).peer.address)
        default: break
        }
    }
}
