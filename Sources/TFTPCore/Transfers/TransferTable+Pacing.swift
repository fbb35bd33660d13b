/// The sender's pace inside a window: how it is chosen, learned and kept.
extension TransferTable {
    /// Whether the blocks of this transfer's windows are spread. A window of a few blocks needs no
    /// pace.
    private func isPaced(_ slot: Int) -> Bool {
        Int(progress[slot].windowsize) > Pace.shallowBurst && history[slot].pace.gap > 0
    }

    /// How many blocks the pace lets out now.
    func allowance(_ slot: Int, now: UInt64) -> Int {
        guard isPaced(slot) else { return .max }
        let before = progress[slot]
        guard before.flight > 0 else {
            return before.flags.contains(.shallow) ? Pace.shallowBurst : Pace.openingBurst
        }
        let elapsed = TransferTable.stamp(now) &- before.sentAt
        return history[slot].pace.allowance(elapsed: elapsed, missing: missingCount(slot))
    }

    /// Nanoseconds until the next block of the window may go out; nil when the pace does not keep
    /// it.
    func pause(of slot: Int) -> UInt64? {
        guard isPaced(slot), missingCount(slot) > 0 else { return nil }
        return UInt64(history[slot].pace.gap) << 10
    }

    /// The first window is about to open. Where nothing is known of the path, a window larger than
    /// what every queue takes goes out as if the path were slow; how soon its ACK comes tells
    /// whether it is.
    func beginPace(_ slot: Int, now: UInt64) {
        let before = progress[slot]
        guard before.windowsize > 1 else { return }
        if before.retries == 0 && !before.flags.contains(.rewound) {
            let elapsed = TransferTable.stamp(now) &- before.sentAt
            history[slot].pace.leastRoundTrip.lower(to: elapsed)
        }
        guard paces else { return }
        if let known = paceBook.recall(flows[slot].peer.address, blksize: before.blksize) {
            history[slot].pace.gap = known.gap
            if known.isShallow { progress[slot].flags.insert(.shallow) }
        } else if Int(before.windowsize) > Pace.openingBurst
            && paceBook.scouts(flows[slot].peer.address)
        {
            history[slot].pace.gap = Pace.carefulGap(blksize: before.blksize)
            progress[slot].flags.insert(.careful)
        }
    }

    /// ACK of `advance` blocks of the window; `progress` is as it was before.
    func learnPace(_ slot: Int, advance: UInt64, now: UInt64) {
        let before = progress[slot]
        let stamp = TransferTable.stamp(now)
        let tail = stamp &- before.sentAt
        guard paces else {
            let isWhole = advance == UInt64(before.flight) && before.retries == 0
            if isWhole && !before.flags.contains(.rewound) {
                history[slot].pace.leastRoundTrip.lower(to: tail)
            }
            return
        }
        if advance < UInt64(before.flight) {
            history[slot].pace.stepGap(
                count: Int(advance), flight: Int(before.flight),
                elapsed: stamp &- before.openedAt, tail: tail)
            if history[slot].pace.gap > 0 { progress[slot].flags.insert(.shallow) }
        } else if missingCount(slot) == 0 && before.retries == 0
            && !before.flags.contains(.rewound)
        {
            // Not of a window that was sent again, or its last block: the ACK may answer either
            // transmission.
            let isCareful = before.flags.contains(.careful)
            history[slot].pace.stepWhole(tail: tail, isCareful: isCareful)
            if history[slot].pace.gap == 0 {
                progress[slot].flags.remove(.shallow)
            } else if isCareful {
                progress[slot].flags.insert(.shallow)
            }
        }
        endScouting(slot)
    }

    /// What the first window has shown holds for the network of its peer.
    private func endScouting(_ slot: Int) {
        guard progress[slot].flags.contains(.careful) else { return }
        progress[slot].flags.remove(.careful)
        let isFast = history[slot].pace.gap == 0
        paceBook.noteNetwork(of: flows[slot].peer.address, isFast: isFast)
    }

    /// A window was answered by silence.
    func slowPace(_ slot: Int) {
        guard paces else { return }
        // The time-out has been counted already.
        history[slot].pace.stepSilence(
            blksize: progress[slot].blksize, again: progress[slot].retries > 1)
        progress[slot].flags.insert(.shallow)
        endScouting(slot)
    }

    /// The transfer ends: the next one to the same peer begins with what it has shown.
    func keepPace(_ slot: Int) {
        let before = progress[slot]
        guard paces else { return }
        let (peer, gap) = (flows[slot].peer.address, history[slot].pace.gap)
        guard !before.flags.contains(.careful) else { return paceBook.forgetScout(of: peer) }
        // That nothing was lost of a few blocks tells nothing of a large window.
        let isTelling =
            Int(before.windowsize) > Pace.openingBurst && before.acked >= UInt64(before.windowsize)
        guard gap > 0 || isTelling else { return }
        paceBook.keep(
            peer, gap: gap, isShallow: before.flags.contains(.shallow), blksize: before.blksize)
    }
}
