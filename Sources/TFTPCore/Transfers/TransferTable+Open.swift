package import TFTPWire

/// How a transfer begins, at either end.
extension TransferTable {
    /// What a request means, given the transfers that are already open between its two parties.
    package enum RequestVerdict: Equatable, Sendable {
        /// No transfer has this request: open one.
        case new
        /// The same request while `slot` is being opened: nothing to do.
        case pending(slot: Int)
        /// The same request, and `slot` has been offered but not acknowledged: offer it again.
        case repeated(slot: Int)
        /// The same request, but `slot` is under way. Either the client has restarted or the
        /// network made a duplicate: open a second transfer, through another socket.
        case rival(slot: Int)
        /// Another request from the same port: end `slot`, then ask again.
        case replace(slot: Int)
    }

    /// Judges a request by the transfers between the same parties (rule 1).
    package func judge(_ flow: Flow, requestHash: UInt32) -> RequestVerdict {
        var underWay: Int?
        var other: Int?
        var slot = index.findParties(of: flow, after: nil, in: flows)
        while let found = slot {
            let before = progress[found]
            slot = index.findParties(of: flow, after: found, in: flows)
            guard history[found].requestHash == requestHash else {
                other = other ?? found
                continue
            }
            // A client that keeps its port may ask for the same again: the past one only dallies.
            if before.phase == .dallying { return .replace(slot: found) }
            if before.phase == .opening || before.phase == .committing {
                return .pending(slot: found)
            }
            if !before.flags.contains(.confirmed) { return .repeated(slot: found) }
            underWay = found
        }
        if let underWay { return .rival(slot: underWay) }
        return other.map { .replace(slot: $0) } ?? .new
    }

    /// Server: a request was accepted and its file is being looked for.
    ///
    /// - Returns: the slot, or nil when the table is full.
    package mutating func open(
        _ flow: Flow, opcode: Opcode, requestHash: UInt32, now: UInt64
    ) -> Int? {
        guard
            let slot = allocate(flow, phase: .opening, requestHash: requestHash, now: now)
        else { return nil }
        if opcode == .wrq { progress[slot].flags.insert(.receiver) }
        schedule(slot, in: Limits.openingPatienceNanoseconds, now: now)
        return slot
    }

    /// Marks two transfers between the same parties: the first of them to make progress stays.
    package mutating func setRivals(_ slot: Int, _ other: Int) {
        progress[slot].flags.insert(.hasDuplicateRequest)
        progress[other].flags.insert(.hasDuplicateRequest)
    }

    /// Whether another transfer between the same parties is open.
    package func isRivalled(_ slot: Int) -> Bool {
        progress[slot].flags.contains(.hasDuplicateRequest)
    }

    /// The transfer that another one outlived by making progress in the latest step, to be ended by
    /// the caller.
    package mutating func takeOutlivedRival() -> Int? {
        guard outliving != TransferTable.noSlot else { return nil }
        let slot = Int(outliving)
        outliving = TransferTable.noSlot
        progress[slot].flags.remove(.hasDuplicateRequest)
        let first = index.findParties(of: flows[slot], after: nil, in: flows)
        guard first == slot else { return first }
        return index.findParties(of: flows[slot], after: slot, in: flows)
    }

    /// Server: the file is there; answer the RRQ.
    ///
    /// - Parameter byteCount: nil when it is known only at the end (netascii).
    package mutating func startSending(
        _ slot: Int, byteCount: UInt64?, grant: Grant, now: UInt64
    ) -> Effect {
        assert(progress[slot].phase == .opening)
        adopt(grant, slot)
        setByteCount(slot, byteCount)
        history[slot].progressAt = TransferTable.stamp(now)
        guard progress[slot].flags.contains(.hasOACK) else {
            progress[slot].phase = .sending
            return .send
        }
        progress[slot].phase = .offering
        return offer(slot, now: now)
    }

    /// Server: the upload may come; answer the WRQ.
    package mutating func startReceiving(_ slot: Int, grant: Grant, now: UInt64) -> Effect {
        assert(progress[slot].phase == .opening)
        adopt(grant, slot)
        progress[slot].phase = .receiving
        history[slot].progressAt = TransferTable.stamp(now)
        return offer(slot, now: now)
    }

    /// The same request came again before anything was acknowledged: the answer may have been lost.
    package mutating func stepRepeatedRequest(_ slot: Int, now: UInt64) -> Effect {
        switch progress[slot].phase {
        case .offering, .receiving:
            // The ACK may answer either transmission: take no round trip from it (Karn's rule).
            progress[slot].flags.insert(.rewound)
            return offer(slot, now: now)
        case .sending:
            // Without options the answer is DATA 1, and it is the only block that can be out.
            return progress[slot].flight > 0 ? rewind(slot, now: now) : .send
        case .free, .opening, .requesting, .committing, .dallying:
            return .none
        }
    }

    /// The request came again, where all transfers share a port, and so soon after the beginning
    /// that the network may have made two of it. Progress will show that it did so; silence, that
    /// the client has begun anew.
    package mutating func suspectRestart(_ slot: Int, now: UInt64) {
        guard sharesPort, progress[slot].phase == .sending,
            progress[slot].flags.contains(.hasOACK)
        else { return }
        progress[slot].flags.insert(.hasDuplicateRequest)
        schedule(slot, in: Limits.restartDoubtNanoseconds, now: now)
    }

    /// The client seems to have begun anew: the OACK goes out again. Where the transfer was is
    /// kept, for a client that turns out to be at work there after all.
    mutating func restart(_ slot: Int, now: UInt64) -> Effect {
        progress[slot].phase = .offering
        progress[slot].retries = 0
        progress[slot].repeatedAcks = 0
        progress[slot].flags.subtract([
            .confirmed, .hasDuplicateRequest, .speculating, .trusting, .echoing,
        ])
        // The ACK may answer what went out before (Karn's rule).
        progress[slot].flags.insert(.rewound)
        history[slot].progressAt = TransferTable.stamp(now)
        return offer(slot, now: now)
    }

    /// Client: takes a slot for a request to `flow`'s peer, which is the server's port 69 for now.
    ///
    /// - Parameters:
    ///   - timeoutSeconds: when to repeat the request at the latest; 0: after a second, then ever
    ///     later.
    ///   - patienceMilliseconds: how long the server may be silent; 0: as long as a server waits.
    package mutating func request(
        _ flow: Flow, opcode: Opcode, rollover: BlockNumber.Rollover, timeoutSeconds: UInt8 = 0,
        patienceMilliseconds: UInt32 = 0, now: UInt64
    ) -> Int? {
        guard
            let slot = allocate(flow, phase: .requesting, requestHash: 0, now: now)
        else { return nil }
        progress[slot].flags.insert(.client)
        patiences[slot] = patienceMilliseconds
        if opcode == .rrq { progress[slot].flags.insert(.receiver) }
        if rollover == .toOne { progress[slot].flags.insert(.rolloverToOne) }
        progress[slot].sentAt = TransferTable.stamp(now)
        progress[slot].repeatLimit = RepeatLimit(microseconds: UInt32(timeoutSeconds) * 1_000_000)
        scheduleTimeout(slot, now: now)
        return slot
    }

    /// Client: the first answer came from another port, which is the transfer's TID from now on
    /// (RFC 1350 §4).
    package mutating func adoptPeerPort(_ slot: Int, _ port: UInt16) {
        assert(progress[slot].phase == .requesting)
        index.remove(slot, in: flows)
        flows[slot].peerPort = port
        index.insert(slot, in: flows)
    }

    /// What the peer counts on with after block 65535, once that is known.
    package mutating func setRollover(of slot: Int, _ rollover: BlockNumber.Rollover) {
        if rollover == .toOne {
            progress[slot].flags.insert(.rolloverToOne)
        } else {
            progress[slot].flags.remove(.rolloverToOne)
        }
    }

    /// Sender: the peer asks for `count` blocks in each window from now on, as Windows does with
    /// the fifth byte of an ACK (`msftwindow`). A 0 is ignored.
    ///
    /// What is out beyond a smaller window counts as never sent: the peer does not acknowledge it.
    package mutating func setNextWindow(of slot: Int, _ count: UInt8) {
        let before = progress[slot]
        guard count > 0, UInt16(count) != before.windowsize,
            before.phase == .sending || before.phase == .offering,
            before.flags.isDisjoint(with: [.receiver, .speculating])
        else { return }
        progress[slot].windowsize = UInt16(count)
        progress[slot].flight = min(before.flight, UInt16(count))
        progress[slot].flightBefore = min(before.flightBefore, UInt16(count))
    }

    /// Client: whether no answer has come yet.
    package func isRequesting(_ slot: Int) -> Bool { progress[slot].phase == .requesting }

    /// Client: the server granted options.
    ///
    /// - Parameter byteCount: of what is sent, or of what the server announced; nil when unknown.
    package mutating func stepOACK(
        _ slot: Int, grant: Grant, byteCount: UInt64?, now: UInt64
    ) -> Effect {
        if progress[slot].phase == .requesting {
            sampleRoundTrip(slot, now: now)
            adopt(grant, slot)
            progress[slot].flags.insert(.confirmed)
            noteProgress(slot, now: now)
            guard progress[slot].flags.contains(.receiver) else {
                progress[slot].phase = .sending
                setByteCount(slot, byteCount)
                return .send
            }
            progress[slot].phase = .receiving
            return acknowledge(slot, now: now)
        }
        // The OACK again, because ACK 0 was lost; once DATA has come it is only late.
        let before = progress[slot]
        guard before.phase == .receiving, before.acked == 0, before.flight == 0 else {
            return .none
        }
        return acknowledge(slot, now: now)
    }

    mutating func setByteCount(_ slot: Int, _ byteCount: UInt64?) {
        guard let byteCount else { return }
        // A file that fills its blocks exactly ends with an empty one (RFC 1350 §6).
        progress[slot].last = byteCount / UInt64(progress[slot].blksize) + 1
    }

    private mutating func adopt(_ grant: Grant, _ slot: Int) {
        assert(grant.blksize >= 8 && grant.windowsize >= 1)
        progress[slot].blksize = grant.blksize
        progress[slot].windowsize = grant.windowsize
        progress[slot].repeatLimit = RepeatLimit(microseconds: grant.timeoutMicroseconds)
        // A client of ours that was not told keeps what it was set to.
        if grant.rollover == .toOne { progress[slot].flags.insert(.rolloverToOne) }
        if grant.hasOACK { progress[slot].flags.insert(.hasOACK) }
    }

    /// Answers the request: with the OACK, or as a receiver without options with ACK 0.
    mutating func offer(_ slot: Int, now: UInt64) -> Effect {
        progress[slot].sentAt = TransferTable.stamp(now)
        scheduleTimeout(slot, now: now)
        return progress[slot].flags.contains(.hasOACK) ? .oack : .ack(0)
    }
}
