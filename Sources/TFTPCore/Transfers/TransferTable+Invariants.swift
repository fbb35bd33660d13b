/// What holds between two steps of a slot in use. Debug builds of the simulation check it after
/// every step.
extension TransferTable {
    /// Traps where the columns of `slot` contradict each other: that is a mistake of this module,
    /// never of a peer.
    package func checkInvariants(_ slot: Int) {
        let now = progress[slot]
        guard now.phase != .free else { return }
        assert(index.find(flows[slot], in: flows) == slot, "a transfer in use is found by its flow")
        assert(now.windowsize >= 1 && now.blksize >= 8)
        assert(now.acked <= now.last)
        assert(!now.flags.isSuperset(of: [.queued, .parked]), "a transfer waits for one thing")
        switch now.phase {
        case .sending: checkSending(now)
        case .receiving:
            assert(now.flags.contains(.receiver))
            assert(now.flight < now.windowsize, "a whole window is acknowledged at once")
        case .committing, .dallying: assert(now.flags.contains(.receiver))
        case .offering:
            assert(!now.flags.contains(.confirmed), "the OACK is not repeated after an ACK")
        case .requesting: assert(now.flags.contains(.client))
        case .free, .opening: break
        }
    }

    private func checkSending(_ now: Progress) {
        assert(!now.flags.contains(.receiver))
        let isSpeculating = now.flags.contains(.speculating)
        let limit = isSpeculating ? 2 : now.windowsize
        assert(now.flight <= limit, "no more than a window is out")
        assert(now.acked + UInt64(now.flight) <= now.last)
        assert(now.acked + UInt64(now.flightBefore) <= now.last)
        assert(now.flightBefore <= max(2, now.windowsize))
    }
}
