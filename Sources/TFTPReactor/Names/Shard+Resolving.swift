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
        let pending = server.looked
        let client = server.table.flow(of: slot).peer.address
        guard pending.opcode == .rrq, let places = names.places(of: pending, client),
            isRootCurrent()
        else { return server.stepUnknown(slot) }
        var status = clinux_status()
        for number in 0..<places.count {
            guard let name = places.name(number) else { return server.stepUnknown(slot) }
            let tree = places.tree(number)
            let directory =
                tree == 0 ? shared.root.descriptor : shared.names.directory(of: tree)
            switch look(for: name.terminatedBytes, in: directory, &status) {
            case .wait, .failed: return server.stepUnknown(slot)
            case .notFound: continue
            case .found where !status.is_regular && number < places.count - 1:
                // Whether the search ends with a folder is for the resolver to say.
                return server.stepUnknown(slot)
            case .found:
                if server.stepRenamed(slot, to: name) { stepLooked(slot, status) }
                return
            }
        }
        // Another spelling may be meant.
        let hasOther =
            pending.name.strippingTrailingJunk() != nil
            || shared.names.droppingRootPath(pending.name) != nil
            || shared.names.rootHasTwoPaths
        hasOther ? server.stepUnknown(slot) : server.stepNotFound(slot)
    }

    /// Takes what a reload has changed, once a turn.
    mutating func adoptNames() {
        let word = shared.names.word
        guard word != names.word else { return }
        names.adopt(word)
        server.keepsNames = word.isLiteral
    }

    /// Remembers what the store has found out about the name of a request.
    mutating func learnMeaning(of reply: StoreReply) {
        guard names.isActive, !configuration.hasSnapshots else { return }
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
