package import TFTPCore
package import TFTPMetrics
internal import TFTPStore
internal import TFTPWire

/// The decisions of one shard's server, sans-IO: which requests become transfers, what each
/// datagram, answer of the store and deadline means for them, and when they end. It has no thread,
/// clock, socket or file.
///
/// The driver calls one `step…` for each event, with the time, and then carries out `effects` in
/// their order before the next one. In the product the driver is a thread with a ring; in tests it
/// is the simulator.
///
/// Nothing in a step allocates, retains or locks: all state is in columns made by `init`. (More
/// than twelve properties: each is a table of its own, and what steps touch together stands
/// together in them.)
@safe
package struct TransferServer: ~Copyable {
    package let configuration: ServingConfiguration
    /// Whether the rules are to see names as they came; the driver may change it.
    package var keepsNames: Bool
    /// What requests may have. The driver may replace it between steps; what it replaces is not
    /// looked at any more.
    package var policies: PolicyReference
    let memory: ServingMemory
    let own: OwnEndpoints
    let counters: Counters
    package var effects = EffectQueue()
    package var table: TransferTable
    package var contents: ContentTable
    var sockets: SocketTable
    var uploads: ReceptionTable
    var seals: SealTable
    var pendings: PendingTable
    var visits: VisitQueue
    /// The time of the latest step.
    package var now: UInt64
    /// The MTU of the path to each transfer's client; 0: unknown, until `notePath`.
    let mtus: Column<UInt16>
    var access: AccessTable
    var limits: LimitTable
    /// Without places where bytes a second are not limited.
    var reservations: ReservationTable
    var unproven: UnprovenTable
    var budget: ReplyBudget
    /// Lines about clients that never answered, and about requests that the server was too busy
    /// for.
    var silentRecords = RateWindow(perSecond: ServingLimits.silentRecordsPerSecond)
    var life = Life()

    #if DEBUG
        /// The simulator's: see `plant`.
        var mistake = Mistake.none
    #endif

    /// What the server counts of itself.
    struct Life {
        /// No new transfer is begun.
        var isDraining = false
        /// Transfers that only repeat their last ACK.
        var dallyingCount = 0
        /// Extents that were asked for and have not been answered, also for transfers that have
        /// ended since.
        var wantsInFlight = 0
        /// The slot that was looked at last for a silent client.
        var stallHand = 0
    }

    /// Slots that are looked at for one, for each request that finds the table full.
    static let stallLooksMax = 64

    /// - Parameters:
    ///   - sockets: by the numbers that flows have.
    ///   - seed: random, so that peers cannot choose their places in the index.
    package init(
        configuration: ServingConfiguration, sockets: [ServingSocket], own: OwnEndpoints,
        memory: ServingMemory, counters: Counters, seed: UInt64, now: UInt64
    ) {
        self.configuration = configuration
        keepsNames = configuration.keepsNames
        policies = PolicyReference(configuration.policies)
        self.memory = memory
        self.own = own
        self.counters = counters
        self.now = now
        let transfersMax = configuration.transfersMax
        table = TransferTable(
            capacity: transfersMax, seed: seed, now: now, paces: configuration.paces,
            sharesPort: configuration.isSinglePort, policies: configuration.clientPolicies,
            isServer: true)
        contents = ContentTable(capacity: transfersMax)
        self.sockets = SocketTable(sockets, seed: seed)
        uploads = ReceptionTable(
            capacity: min(transfersMax, ServingLimits.uploadsMax), chunksMax: memory.chunksMax)
        seals = SealTable(
            capacity: configuration.opensSeals ? transfersMax : 0)
        pendings = PendingTable(memory)
        access = AccessTable(read: configuration.readAccess, write: configuration.writeAccess)
        limits = LimitTable(
            clients: configuration.clientLimits, networks: configuration.networkLimits,
            transfersMax: transfersMax, seed: seed)
        reservations = ReservationTable(capacity: limits.limitsBytes ? transfersMax : 0)
        unproven = UnprovenTable(capacity: transfersMax)
        budget = ReplyBudget(seed: seed, now: now)
        mtus = Column(repeating: 0, count: transfersMax)
        visits = VisitQueue(transfersMax: transfersMax)
    }

    // MARK: What a driver asks

    /// Transfers under way.
    package var activeCount: Int { table.activeCount - life.dallyingCount }

    /// Whether the last transfer of a draining server has ended.
    package var isDrained: Bool { life.isDraining && activeCount == 0 }

    package var isDraining: Bool { life.isDraining }

    /// Begins no transfer from now on.
    package mutating func drain() { life.isDraining = true }

    /// How long there is nothing to do unless something happens; 0 when there is, nil without
    /// limit.
    package func sleepNanoseconds(now: UInt64) -> UInt64? {
        visits.isEmpty ? table.nanosecondsUntilDeadline(now: now) : 0
    }

    /// What is held although there is no transfer and no answer of the store is to come; nil when
    /// nothing is.
    package var leak: StaticString? {
        if !pendings.isUnused { return "a place for a request" }
        if !contents.isUnused { return "a content" }
        if !uploads.isUnused { return "an upload's place or chunk" }
        if unproven.count > 0 { return "an unproven transfer" }
        return nil
    }

    /// The request whose name `ServerEffect.look` is about.
    package var looked: PendingRequest {
        @inline(__always)
        unsafeAddress { unsafe pendings.currentAddress }
    }

    // MARK: Time

    /// Steps one transfer whose deadline has passed; false when there is none.
    package mutating func stepNextTimeout(now: UInt64) -> Bool {
        self.now = now
        guard let slot = table.popExpired(now: now) else { return false }
        if makes(.forgetsSlot) && table.isDallying(slot) { return true }
        if stepReserved(slot) { return true }
        if !table.isOpening(slot) && isSpent(slot) {
            perform(table.stepSilence(slot, now: now), slot)
        } else {
            perform(table.stepTimeout(slot, now: now), slot)
        }
        return true
    }

    /// Does what the table asks for.
    mutating func perform(_ effect: TransferTable.Effect, _ slot: Int) {
        switch effect {
        case .none: break
        case .send: sendDue(slot)
        case .ack(let block): sendAck(slot, block)
        case .oack: sendOACK(slot)
        case .end(let outcome): end(slot, outcome)
        case .fail(let code):
            sendError(slot, code, code == .illegalOperation ? "Malformed packet" : "Server busy")
            end(slot, .failed, errorCode: code)
        case .request, .take, .takeAndAck, .takeLast:
            assertionFailure("a server sends no request, and payload is taken where it arrives")
        }
    }

    /// The content of a slot that waits for nothing and has none yet.
    static let noPending = UInt32.max
}
