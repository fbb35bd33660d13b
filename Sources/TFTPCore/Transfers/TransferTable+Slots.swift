package import TFTPWire

/// What the caller keeps with a slot, and asks about one.
extension TransferTable {
    /// Both ends of the transfer, and the socket between them.
    package func flow(of slot: Int) -> Flow { flows[slot] }

    /// Which client asked; `.other` until it is told.
    package func kind(of slot: Int) -> Fingerprint {
        Fingerprint(rawValue: flows[slot].kind) ?? .other
    }

    /// What is done for the kind of client that asked.
    package func policy(of slot: Int) -> ClientPolicy { policies[Int(flows[slot].kind)] }

    /// Notes which client asked, for its policy.
    package mutating func setKind(of slot: Int, _ kind: Fingerprint) {
        flows[slot].kind = kind.rawValue
    }

    /// The caller's word for what is transferred.
    package func subject(of slot: Int) -> UInt32 { history[slot].subject }

    /// Keeps the caller's word for what is transferred.
    package mutating func setSubject(of slot: Int, _ subject: UInt32) {
        history[slot].subject = subject
    }

    /// Whether `slot` is in the run queue, or has asked the store for an extent.
    package func isWaiting(_ slot: Int) -> Bool {
        !progress[slot].flags.isDisjoint(with: [.queued, .parked])
    }

    /// Notes what keeps the sender from sending what is due.
    package mutating func setWaiting(of slot: Int, _ waiting: Waiting) {
        progress[slot].flags.subtract([.queued, .parked])
        switch waiting {
        case .nothing: break
        case .queued: progress[slot].flags.insert(.queued)
        case .parked: progress[slot].flags.insert(.parked)
        }
    }

    /// The granted blksize, in bytes.
    package func blksize(of slot: Int) -> Int { Int(progress[slot].blksize) }

    /// Time-outs since the peer was heard.
    package func silenceCount(of slot: Int) -> Int { Int(progress[slot].retries) }

    /// The granted windowsize, in blocks.
    package func windowsize(of slot: Int) -> Int { Int(progress[slot].windowsize) }

    /// Sender: blocks acknowledged. Receiver: the last block that this end acknowledged.
    package func ackedBlock(of slot: Int) -> UInt64 { progress[slot].acked }

    /// Whether this end receives.
    package func isReceiver(_ slot: Int) -> Bool { progress[slot].flags.contains(.receiver) }

    /// Server: whether the file is still being looked for.
    package func isOpening(_ slot: Int) -> Bool { progress[slot].phase == .opening }

    /// Whether the peer has acknowledged something, so that its address is not forged.
    package func isConfirmed(_ slot: Int) -> Bool { progress[slot].flags.contains(.confirmed) }

    /// Whether the transfer is over but for answering repeats of its last block.
    package func isDallying(_ slot: Int) -> Bool { progress[slot].phase == .dallying }

    /// Whether no transfer uses `slot`.
    package func isFree(_ slot: Int) -> Bool { progress[slot].phase == .free }

    /// What follows block 65535 on the wire.
    package func rollover(of slot: Int) -> BlockNumber.Rollover {
        progress[slot].flags.contains(.rolloverToOne) ? .toOne : .toZero
    }
}
