package import TFTPCore
package import TFTPSeal
package import TFTPWire

/// The decisions of all transfers of one client, sans-IO: what is asked and asked again, what each
/// datagram and deadline means, where a block belongs, when the next window is asked for, and when
/// a transfer ends. It has no thread, clock, socket or file, and does not hold the content.
///
/// The driver calls one `step…` for each event, with the time, and then carries out `effects` in
/// their order before the next one. In the product the driver is a client's thread; in tests it is
/// the simulator.
///
/// The content of a transfer lies in a ring of bytes that the driver shares with a task. `note…`
/// and `stepContent` say how far the task has come; the client decides by that alone.
///
/// Nothing that a packet passes through allocates, retains or locks; beginning and ending a
/// transfer may, and so may a seal.
package struct TransferClient: ~Copyable {
    /// What the latest step wants done.
    package var effects = ClientEffectQueue()
    /// The state of each transfer's protocol.
    package var table: TransferTable
    let states: Column<ClientTransferState>
    /// What each slot asks for; nil while it is free.
    var requests: [ClientRequest?]
    /// The slot that speaks through a socket, or -1.
    let slotOfSocket: Column<Int32>
    let aheadMemory: AheadMemory
    let sealRoom = SealRoom()
    var runQueue: RunQueue
    var strayErrors = RateWindow(perSecond: ClientLimits.strayErrorsPerSecond)
    /// Of the transfer that the latest step has ended.
    var result: Result<ClientSummary, ClientFailure>?
    /// The time of the latest step.
    var now: UInt64

    #if DEBUG
        /// The simulator's: see `plant`.
        var mistake = ClientMistake.none
    #endif

    /// - Parameters:
    ///   - socketsMax: more than any socket's number.
    ///   - seed: random, so that peers cannot choose their places in the index.
    package init(transfersMax: Int, socketsMax: Int, seed: UInt64, now: UInt64) {
        self.now = now
        table = TransferTable(capacity: transfersMax, seed: seed, now: now)
        states = Column(repeating: ClientTransferState(), count: transfersMax)
        requests = Array(repeating: nil, count: transfersMax)
        slotOfSocket = Column(repeating: -1, count: socketsMax)
        aheadMemory = AheadMemory(transfersMax: transfersMax)
        runQueue = RunQueue(capacity: transfersMax)
    }

    // MARK: What a driver asks

    /// The transfer that speaks through `socket`; nil for none.
    package func slot(ofSocket socket: UInt16) -> Int? {
        let slot = slotOfSocket[Int(socket)]
        return slot >= 0 ? Int(slot) : nil
    }

    /// How long there is nothing to do unless something happens; 0 when there is, nil without
    /// limit.
    package func sleepNanoseconds(now: UInt64) -> UInt64? {
        runQueue.count > 0 ? 0 : table.nanosecondsUntilDeadline(now: now)
    }

    /// Bytes of content that are here, or with the server. What is sent lies in the ring as it goes
    /// over, seals and all.
    package func progress(of slot: Int) -> UInt64 {
        guard states[slot].isSealed, !table.isReceiver(slot) else { return states[slot].byteCount }
        let seals = table.ackedBlock(of: slot) * UInt64(states[slot].sealByteCount)
        return states[slot].byteCount - min(states[slot].byteCount, seals)
    }

    /// How the transfer of `ClientEffect.end` ended.
    package mutating func takeResult() -> Result<ClientSummary, ClientFailure> {
        guard let result else { preconditionFailure("a transfer that has ended has a result") }
        self.result = nil
        return result
    }

    /// Seals content before it is written; of a sealed transfer that has begun to send.
    package func blockSealer(of slot: Int) -> BlockSealer? {
        guard states[slot].isSealed, !table.isReceiver(slot) else { return nil }
        return seal(slot)?.blockSealer(blksize: table.blksize(of: slot))
    }

    // MARK: The beginning

    /// Sends the request, from a socket of its own: a server takes a second one from the same port
    /// for a restart.
    ///
    /// - Parameters:
    ///   - options: what is asked for, which may be less than what `request` has.
    ///   - ringByteCount: of the memory for content.
    /// - Returns: the slot, or nil when the table is full.
    package mutating func start(
        _ request: ClientRequest, asking options: Options, through socket: UInt16,
        ringByteCount: Int, now: UInt64
    ) -> Int? {
        self.now = now
        let flow = Flow(peer: request.server, local: .unspecified, socket: socket)
        guard
            let slot = table.request(
                flow, opcode: request.opcode, rollover: .toZero,
                timeoutSeconds: request.timeoutSeconds,
                patienceMilliseconds: request.patienceMilliseconds, now: now)
        else { return nil }
        slotOfSocket[Int(socket)] = Int32(slot)
        requests[slot] = request
        states[slot] = ClientTransferState(
            request, asking: options, ringByteCount: ringByteCount, now: now)
        sendRequest(slot)
        return slot
    }

    /// Ends one transfer that only waits for repeats of its last block; false when there is none.
    package mutating func releaseNextDallying() -> Bool {
        for slot in 0..<table.capacity where !table.isFree(slot) && table.isDallying(slot) {
            release(slot)
            return true
        }
        return false
    }

    // MARK: Time

    /// A transfer whose deadline has passed, for `stepTimeout`; nil when there is none.
    package mutating func nextTimeout(now: UInt64) -> Int? { table.popExpired(now: now) }

    /// The deadline of `slot` has passed.
    package mutating func stepTimeout(_ slot: Int, now: UInt64) {
        self.now = now
        states[slot].isRefused = false
        if states[slot].isSealed, let doubt = doubt(slot) { return end(slot, .failure(doubt)) }
        // The client waits for its source, not for the server.
        guard !states[slot].isWaiting else {
            if let failure = stalledSource(slot) {
                return fail(slot, .notDefined, "No content came", failure)
            }
            return table.stepOwnDelay(slot, now: now)
        }
        doubtZero(slot)
        perform(table.stepTimeout(slot, now: now), slot)
    }

    /// What to fail with when the content has kept the server waiting for too long. The timers of
    /// the table look at it, so it may last one of their periods longer.
    private func stalledSource(_ slot: Int) -> ClientFailure? {
        let patience = UInt64(states[slot].sourcePatienceMilliseconds)
        guard !table.isReceiver(slot), patience < UInt64(UInt32.max) else { return nil }
        let milliseconds = (now - states[slot].dryAt) / 1_000_000
        guard milliseconds >= patience else { return nil }
        return .sourceStalled(milliseconds: patience)
    }

    // MARK: Effects of the table

    mutating func perform(_ effect: TransferTable.Effect, _ slot: Int) {
        switch effect {
        case .none, .take: break
        case .request:
            states[slot].repeatCount += 1
            sendRequest(slot)
        case .send: sendDue(slot)
        case .ack(let block): repeatACK(slot, block)
        case .end(let outcome): end(slot, outcome)
        // The pace spreads a window over more than the patience.
        case .fail: end(slot, .timedOut)
        case .oack, .takeAndAck, .takeLast:
            assertionFailure("a client grants no options, and payload is taken where it arrives")
        }
    }
}

/// The bounds of a client, each with its cost.
package enum ClientLimits {
    /// How many blocks beyond a missing one mean that it is lost, and not only late.
    static let blocksAheadMax = 3
    /// A slow network's content is handed over this often.
    static let handOverNanoseconds: UInt64 = 100_000_000
    /// Runs of blocks for one transfer before the next one has its turn.
    static let batchesPerVisit = 2
    /// ERRORs to strangers in a second: enough to be helpful, too few to be a weapon.
    static let strayErrorsPerSecond = 1000
    /// How much of the patience passes without an answer before options are left out.
    static let optionsPatiencePercent: UInt64 = 45
}
