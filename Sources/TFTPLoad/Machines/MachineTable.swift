internal import TFTPCore
internal import TFTPWire

/// The simulated boot clients of one shard. Sans-IO: it reads no clock, no socket, no file.
///
/// The caller hands in what happened (`step…`) and does what comes back (`Effect`). Blocks are
/// counted from 1 in 64 bits, and roll over to 0 on the wire. `now` is nanoseconds of a clock that
/// does not go back. No payload is kept: the caller looks at it as it arrives, at the offset that
/// `Accepted` says.
///
/// What a machine does is in its `ClientProfile`; nothing here asks which client it is, but for the
/// bookkeeping of iPXE, which has a function of its own.
///
/// Invariants, for a machine that receives: blocks below `expected` are here, `expected` is not,
/// and `ahead` has the blocks behind it; `expected <= last` as long as it receives (but for iPXE,
/// where `last` is the number of blocks that it knows of).
package struct MachineTable: ~Copyable {
    /// What each packet reads and writes: a cache line.
    struct Progress: BitwiseCopyable {
        /// The first block that is missing.
        var expected: UInt64 = 1
        /// The number of the last block; `.max` while unknown. For iPXE, the highest number that a
        /// `tsize` or a block has told of; 0 while nothing has.
        var last: UInt64 = .max
        /// Blocks that are here beyond a gap: bit 0 is block expected + 1.
        var ahead: UInt64 = 0
        /// An ACK is due when this block is here.
        var ackDue: UInt64 = 1
        /// When the request or the ACK that is waited on went out.
        var sentAt: UInt64 = 0
        /// How long the answer took that came in the latest step; 0 if unknown.
        var turnaround: UInt64 = 0
        var blksize: UInt16 = Grant.blksizeDefault
        var windowsize: UInt16 = 1
        /// The number in the latest ACK.
        var lastAck: UInt16 = 0
        /// The number in the latest ACK that told of a gap; means nothing without `hasNack`.
        var lastNack: UInt16 = 0
        /// The server's port in this stage; 0 while unknown.
        var serverTID: UInt16 = 0
        var phase = Phase.idle
        var flags: Flags = []
        var profile: UInt8 = 0
        var stage: UInt8 = 0
        /// Time-outs since the last progress.
        var retries: UInt8 = 0
    }

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        /// The first answer to the latest packet is still to come, and that was not a repeated one.
        static let awaiting = Flags(rawValue: 1 << 0)
        static let hasNack = Flags(rawValue: 1 << 1)
        /// DATA came where an OACK is required.
        static let lacksOACK = Flags(rawValue: 1 << 2)
        /// An ERROR came that the client does not see.
        static let hasError = Flags(rawValue: 1 << 3)
        /// Something came from another port than the server's since the last progress.
        static let strayPort = Flags(rawValue: 1 << 4)
        /// The same from another address.
        static let strayAddress = Flags(rawValue: 1 << 5)
    }

    /// What is needed at the start, at the end and at a time-out.
    struct History: BitwiseCopyable {
        /// When the boot began.
        var startedAt: UInt64 = 0
        /// What the OACK of this stage says; `.max` if it does not.
        var tsize: UInt64 = .max
        /// The period of an adaptive timer.
        var periodMilliseconds: UInt32 = 0
        /// Meaningful with `hasError` only.
        var errorCode: UInt16 = 0
    }

    package let capacity: Int
    let progress: Column<Progress>
    let history: Column<History>
    let profiles: Column<ClientProfile>
    var wheel: TimingWheel
    package private(set) var profileCount = 0
    package private(set) var activeCount = 0
    package internal(set) var counters = Counters()

    /// What happened to all machines together.
    package struct Counters: Equatable, Sendable, BitwiseCopyable {
        /// Blocks that were here already, or looked like it to the client.
        package var duplicates: UInt64 = 0
        /// Blocks that came with a gap in front of them.
        package var gaps: UInt64 = 0
        package var retransmittedRequests: UInt64 = 0
        /// ACKs of a number that had been acknowledged.
        package var retransmittedACKs: UInt64 = 0
        package var repeatedOACKs: UInt64 = 0
        /// Packets from a port or an address that is not the server's in this transfer.
        package var strangers: UInt64 = 0

        package init() {}
    }

    package static var machinesMax: Int { 100_000 }
    package static var profilesMax: Int { 16 }

    package init(capacity: Int, now: UInt64) {
        precondition(capacity > 0)
        precondition(capacity <= MachineTable.machinesMax)
        self.capacity = capacity
        progress = Column(repeating: Progress(), count: capacity)
        history = Column(repeating: History(), count: capacity)
        profiles = Column(repeating: .plain(), count: MachineTable.profilesMax)
        wheel = TimingWheel(capacity: capacity, now: now)
    }

    /// Adds a profile for `start`, at most `profilesMax` in all.
    ///
    /// - Returns: Its index.
    package mutating func addProfile(_ profile: ClientProfile) -> Int {
        precondition(profileCount < MachineTable.profilesMax)
        profiles[profileCount] = profile
        profileCount += 1
        return profileCount - 1
    }

    /// Bytes of state one machine takes, in all columns.
    package static var machineByteCount: Int {
        MemoryLayout<Progress>.stride + MemoryLayout<History>.stride
            + MemoryLayout<TimingWheel.Timer>.stride
    }

    // MARK: The beginning and the end of a boot

    /// Begins a boot, whatever the machine did before.
    package mutating func start(_ machine: Int, profile: Int, now: UInt64) -> Effect {
        precondition(profile >= 0)
        precondition(profile < profileCount)
        if progress[machine].phase == .idle { activeCount += 1 }
        history[machine].startedAt = now
        return beginStage(machine, profile: UInt8(profile), stage: 0, now: now)
    }

    /// Ends the boot without a word, as switching the machine off does.
    package mutating func stop(_ machine: Int) {
        if progress[machine].phase != .idle { becomeIdle(machine) }
    }

    mutating func beginStage(
        _ machine: Int, profile index: UInt8, stage: UInt8, now: UInt64
    ) -> Effect {
        wheel.cancel(machine)
        let traits = profiles[Int(index)].traits
        let aheadReaction = profiles[Int(index)].aheadReaction
        progress[machine] = Progress()
        progress[machine].profile = index
        progress[machine].stage = stage
        progress[machine].phase = .requesting
        progress[machine].sentAt = now
        progress[machine].flags.insert(.awaiting)
        if traits.contains(.firstGapAnswered) { progress[machine].flags.insert(.hasNack) }
        if aheadReaction == .keepAndAck { progress[machine].last = 0 }
        history[machine].tsize = .max
        history[machine].periodMilliseconds = profiles[Int(index)].requestRetry.firstMilliseconds
        startTimer(machine, now: now)
        var effect = Effect.none
        effect.request = Requested(fromNewPort: true)
        return effect
    }

    /// This stage ended as it should: the next one, or the end.
    mutating func endStage(_ machine: Int, now: UInt64) -> Effect {
        let state = progress[machine]
        guard Int(state.stage) + 1 < profiles[Int(state.profile)].stageCount else {
            return finish(machine, .done)
        }
        let turnaround = state.turnaround
        let effect = beginStage(
            machine, profile: state.profile, stage: state.stage + 1, now: now)
        progress[machine].turnaround = turnaround
        return effect
    }

    mutating func finish(_ machine: Int, _ result: BootResult) -> Effect {
        becomeIdle(machine)
        var effect = Effect.none
        effect.result = result
        return effect
    }

    mutating func fail(
        _ machine: Int, _ failure: BootFailure, reply: ErrorReply? = nil
    ) -> Effect {
        var effect = finish(machine, .failed(failure))
        effect.error = reply
        return effect
    }

    private mutating func becomeIdle(_ machine: Int) {
        assert(progress[machine].phase != .idle)
        wheel.cancel(machine)
        progress[machine].phase = .idle
        activeCount -= 1
    }

    // MARK: What the caller asks

    package func phase(of machine: Int) -> Phase { progress[machine].phase }

    package func isActive(_ machine: Int) -> Bool { progress[machine].phase != .idle }

    package func kind(of machine: Int) -> ClientKind {
        profiles[Int(progress[machine].profile)].kind
    }

    /// The index that the boot was started with.
    package func profileIndex(of machine: Int) -> Int { Int(progress[machine].profile) }

    package func stage(of machine: Int) -> Int { Int(progress[machine].stage) }

    package func startedAt(_ machine: Int) -> UInt64 { history[machine].startedAt }

    package func blksize(of machine: Int) -> Int { Int(progress[machine].blksize) }

    package func windowsize(of machine: Int) -> Int { Int(progress[machine].windowsize) }

    /// What the server says the size is, if it does.
    package func tsize(of machine: Int) -> UInt64? {
        let tsize = history[machine].tsize
        return tsize == .max ? nil : tsize
    }

    /// The first block that is missing.
    package func expectedBlock(of machine: Int) -> UInt64 { progress[machine].expected }

    /// How many nanoseconds the answer took that came in the machine's latest step, from our
    /// request or ACK on. Nil if it was not the first answer, or if what it answers had been
    /// repeated.
    package func lastTurnaroundNanoseconds(_ machine: Int) -> UInt64? {
        let turnaround = progress[machine].turnaround
        return turnaround == 0 ? nil : turnaround
    }

    // MARK: The server's TID

    /// The server's port in this stage, once it has answered.
    package func serverTID(of machine: Int) -> UInt16? {
        let tid = progress[machine].serverTID
        return tid == 0 ? nil : tid
    }

    /// Whether a packet from `port` is the server's; the first one says which that is (RFC 1350
    /// §4).
    ///
    /// If not, `stepStranger` is to be called in place of the step.
    package mutating func admits(_ machine: Int, port: UInt16) -> Bool {
        guard progress[machine].phase != .idle else { return true }
        if progress[machine].serverTID == 0 { progress[machine].serverTID = port }
        return progress[machine].serverTID == port
    }

    /// A packet came from a port that is not the server's. An ERROR goes there, not to the server.
    package mutating func stepStranger(_ machine: Int, now: UInt64) -> Effect {
        progress[machine].turnaround = 0
        guard progress[machine].phase != .idle else { return .none }
        counters.strangers += 1
        progress[machine].flags.insert(.strayPort)
        switch profiles[Int(progress[machine].profile)].strangerReaction {
        case .ignore:
            return .none
        case .reply(let reply):
            var effect = Effect.none
            effect.error = reply
            return effect
        case .fail:
            return fail(machine, .strangeTID)
        }
    }

    /// A packet came from another address than the server's. Whatever the client would say, nothing
    /// is sent there.
    package mutating func stepForeigner(_ machine: Int, now: UInt64) -> Effect {
        progress[machine].turnaround = 0
        guard progress[machine].phase != .idle else { return .none }
        counters.strangers += 1
        progress[machine].flags.insert(.strayAddress)
        let reaction = profiles[Int(progress[machine].profile)].strangerReaction
        return reaction == .fail ? fail(machine, .strangeAddress) : .none
    }
}
