package import TFTPWire

/// Every transfer of one shard, in both directions and from both ends. Sans-IO: it reads no clock,
/// no socket, no file.
///
/// The shard hands in what happened (`step…`) and does what comes back (`Effect`). Blocks are
/// counted from 1 in 64 bits here; only `BlockNumber` knows that the wire has 16. `now` is
/// nanoseconds of a clock that does not go back.
///
/// Fields that one step touches together share a column, so a packet costs two or three cache lines
/// however many transfers there are. (More than twelve properties: each is a column or an index.)
///
/// Invariants, for a slot in use (`checkInvariants`): `acked + flight <= last`, `acked +
/// flightBefore <= last`, and both flights are `<= windowsize` unless the block after 65535 is out
/// on suspicion, when they are 2 at most.
package struct TransferTable: ~Copyable {
    /// What the shard must do next for one transfer. One thing a step.
    package enum Effect: Equatable, Sendable {
        case none
        /// Send the request (client only).
        case request
        /// Send the OACK.
        case oack
        /// Send what `due` says.
        case send
        /// Send ACK of this block.
        case ack(UInt64)
        /// Keep the payload, which is the next in order.
        case take
        /// Keep the payload and send ACK of this block.
        case takeAndAck(UInt64)
        /// Keep the payload, the last one; call `didCommit` when it is safe.
        case takeLast
        /// Send ERROR and call `release`.
        case fail(ErrorCode)
        /// The transfer is over: write its record and call `release`.
        case end(Outcome)
    }

    /// The state of a transfer, in the order of its life.
    enum Phase: UInt8 {
        case free
        /// Server: the request is accepted, the store is looking for the file.
        case opening
        /// Client: the request is out, nothing has come back.
        case requesting
        /// Server: the OACK is out, nothing has come back.
        case offering
        case sending
        case receiving
        /// Receiver: the last block is here and being made safe.
        case committing
        /// Receiver: the last ACK is out, and is repeated for a peer that missed it.
        case dallying
    }

    /// What keeps a sender from sending what is due; the caller's own note.
    package enum Waiting: UInt8, BitwiseCopyable, Sendable {
        case nothing
        /// In the run queue: more is due than one visit sends.
        case queued
        /// The store was asked for an extent.
        case parked
    }

    struct Flags: OptionSet {
        let rawValue: UInt16
        /// The peer has acknowledged something, so its address is not forged.
        static let confirmed = Flags(rawValue: 1 << 0)
        /// Another transfer between the same parties is open. If transfers share a port: the
        /// request was repeated a moment after the transfer had begun.
        static let hasDuplicateRequest = Flags(rawValue: 1 << 1)
        /// Options were granted, so the answer to the request is an OACK.
        static let hasOACK = Flags(rawValue: 1 << 2)
        /// Block acked + 1 was sent again by a rewind, not only when its window opened.
        static let rewound = Flags(rawValue: 1 << 3)
        /// Block acked + 2 goes out although acked + 1 = 65535 is not acknowledged.
        static let speculating = Flags(rawValue: 1 << 4)
        /// An ERROR 5 of the peer was overlooked since the last progress.
        static let forgiven = Flags(rawValue: 1 << 5)
        static let rolloverToOne = Flags(rawValue: 1 << 6)
        /// This end receives.
        static let receiver = Flags(rawValue: 1 << 7)
        /// The progress before this window came after a rewind: ACKs of the second copy may follow.
        static let echoing = Flags(rawValue: 1 << 8)
        /// An ACK from the middle of a window sent again was taken for progress, not for a gap.
        static let trusting = Flags(rawValue: 1 << 9)
        /// The gap between blocks was chosen without knowing anything of the path.
        static let careful = Flags(rawValue: 1 << 10)
        /// A part of a window was lost on this path: bursts are kept short.
        static let shallow = Flags(rawValue: 1 << 11)
        /// The peer acknowledges blocks that it did not expect, one by one (EDK II).
        static let acknowledgesAll = Flags(rawValue: 1 << 12)
        /// This end sent the request.
        static let client = Flags(rawValue: 1 << 13)
        /// The caller's note, one of `Waiting`, in two bits.
        static let queued = Flags(rawValue: 1 << 14)
        static let parked = Flags(rawValue: 1 << 15)
    }

    /// What each packet of a running transfer reads and writes: 40 bytes.
    ///
    /// A *stamp* counts 1,024 ns in 32 bits and wraps after 73 minutes, far beyond any patience.
    struct Progress: BitwiseCopyable {
        /// Sender: blocks acknowledged. Receiver: the last block that this end acknowledged.
        var acked: UInt64 = 0
        /// Stamp of the latest transmission, to measure the round trip from.
        var sentAt: UInt32 = 0
        /// Stamp of the latest transmission of block acked + 1 (receiver: of the latest gap's ACK).
        var openedAt: UInt32 = 0
        private var lastLow: UInt32 = .max
        private var lastHigh: UInt16 = .max
        /// Smoothed round trip in 65,536 ns; 0 while unknown (RFC 6298 §2).
        var roundTrip: UInt16 = 0
        var roundTripVariation: UInt16 = 0
        /// Sender: blocks out beyond `acked`, since the latest rewind. Receiver: blocks here beyond
        /// `acked`.
        var flight: UInt16 = 0
        /// Sender: blocks beyond `acked` that were out before the latest rewind. They may be
        /// acknowledged at any time.
        var flightBefore: UInt16 = 0
        var windowsize: UInt16 = 1
        var blksize: UInt16 = 512
        var flags: Flags = []
        var phase: Phase = .free
        /// `retries` and `singleAcks`, in five bits and three.
        private var counts: UInt8 = 0
        /// How many more ACKs of `acked` are explained by what was sent already; `.max`: any number
        /// of them. In lockstep: how many there were since the last progress.
        var repeatedAcks: UInt8 = 0
        /// The granted `timeout` or `utimeout`.
        var repeatLimit = RepeatLimit()

        /// The number of the last block, in 48 bits; `lastUnknown` while unknown.
        var last: UInt64 {
            get { UInt64(lastHigh) << 32 | UInt64(lastLow) }
            set {
                let last = min(newValue, Progress.lastUnknown)
                lastLow = UInt32(truncatingIfNeeded: last)
                lastHigh = UInt16(truncatingIfNeeded: last >> 32)
            }
        }

        static let lastUnknown: UInt64 = 1 << 48 - 1

        /// Time-outs since the last progress. From 31 on it goes round in the last eight numbers.
        var retries: UInt8 {
            get { counts & 31 }
            set { counts = counts & ~31 | (newValue > 31 ? 24 : newValue) }
        }

        /// ACKs of a single block amid a window, one after the other, up to seven.
        var singleAcks: UInt8 {
            get { counts >> 5 }
            set { counts = counts & 31 | min(newValue, 7) << 5 }
        }
    }

    /// What is needed at the start, at the end, at a time-out and once a window: 24 bytes.
    struct History: BitwiseCopyable {
        /// Stamp of the latest progress.
        var progressAt: UInt32 = 0
        /// Milliseconds; wraps after 49 days.
        var startedAt: UInt32 = 0
        /// Blocks sent more than once.
        var retransmissionCount: UInt32 = 0
        /// Server: tells a repeated request from another one. 0 at a client, which gets none.
        var requestHash: UInt32 = 0
        /// The caller's word for what is transferred: an index into its own table.
        var subject: UInt32 = 0
        /// Sender of windows: how fast.
        var pace = Pace()
    }

    private let inPlace = InPlace()
    /// Slots.
    package let capacity: Int
    let flows: Column<Flow>
    let progress: Column<Progress>
    let history: Column<History>
    /// Free slots in a list; and for a slot in use, the caller's own list.
    let links: Column<UInt32>
    var wheel: TimingWheel
    var index: PeerIndex
    let paceBook: PaceBook
    /// Whether blocks of a window are spread where the path wants that.
    let paces: Bool
    /// Whether every transfer speaks from the one port that requests come to, so that a client has
    /// one transfer at most.
    let sharesPort: Bool
    /// By kind of client.
    let policies: Column<ClientPolicy>
    /// Client: for how many milliseconds the server may be silent; 0: as long as a server waits. A
    /// server has none.
    let patiences: Column<UInt32>

    private var firstFree: UInt32
    /// The slot with a rival that made progress in the latest step, or `noSlot`.
    var outliving = TransferTable.noSlot
    /// Slots in use.
    package private(set) var activeCount = 0
    /// ACKs that told nothing: outside the window, or repeated.
    package internal(set) var staleAckCount: UInt64 = 0
    /// How often a window or a block was started again.
    package internal(set) var rewindCount: UInt64 = 0

    static let noSlot = UInt32.max

    /// - Parameters:
    ///   - seed: random, so that peers cannot choose their places in the index.
    ///   - paces: spread the blocks of a window where the path wants that.
    ///   - sharesPort: a client has one transfer at most.
    ///   - isServer: it sends no request.
    package init(
        capacity: Int, seed: UInt64, now: UInt64, paces: Bool = true, sharesPort: Bool = false,
        policies: ClientPolicies = ClientPolicies(), isServer: Bool = false
    ) {
        precondition(capacity > 0 && capacity <= Limits.transfersMax)
        self.capacity = capacity
        self.paces = paces
        self.sharesPort = sharesPort
        patiences = Column(repeating: 0, count: isServer ? 0 : capacity)
        self.policies = Column(Fingerprint.allCases.map { policies[$0] })
        paceBook = PaceBook()
        let unusedFlow = Flow(
            peer: Endpoint(address: .unspecified, port: 0), local: .unspecified, socket: 0)
        flows = Column(repeating: unusedFlow, count: capacity)
        progress = Column(repeating: Progress(), count: capacity)
        history = Column(repeating: History(), count: capacity)
        links = Column(repeating: TransferTable.noSlot, count: capacity)
        wheel = TimingWheel(capacity: capacity, now: now)
        index = PeerIndex(capacity: capacity, seed: seed)
        firstFree = 0
        for slot in 0..<(capacity - 1) { links[slot] = UInt32(slot + 1) }
    }

    /// Bytes of state one transfer takes, in all columns and its share of the index.
    package static func transferByteCount(capacity: Int) -> Int {
        MemoryLayout<Flow>.stride + MemoryLayout<Progress>.stride + MemoryLayout<History>.stride
            + MemoryLayout<UInt32>.stride + MemoryLayout<TimingWheel.Timer>.stride
            + PeerIndex.placeCount(capacity: capacity) * MemoryLayout<UInt32>.stride / capacity
    }

    // MARK: Slots

    /// Whether no slot is free.
    package var isFull: Bool { firstFree == TransferTable.noSlot }

    /// The live slot of exactly this flow.
    package func find(_ flow: Flow) -> Int? { index.find(flow, in: flows) }

    /// A number that `isCurrent` tells this use of `slot` from the next by.
    package func generation(of slot: Int) -> UInt32 { flows[slot].generation }

    /// Whether `slot` is in use as it was when `generation` told its generation.
    package func isCurrent(_ slot: Int, generation: UInt32) -> Bool {
        slot < capacity && progress[slot].phase != .free && flows[slot].generation == generation
    }

    /// Takes a slot for `flow`, or nil when the table is full.
    mutating func allocate(_ flow: Flow, phase: Phase, requestHash: UInt32, now: UInt64) -> Int? {
        guard firstFree != TransferTable.noSlot else { return nil }
        let slot = Int(firstFree)
        assert(progress[slot].phase == .free)
        if activeCount == 0 { wheel.catchUp(now: now) }
        firstFree = links[slot]
        links[slot] = TransferTable.noSlot
        activeCount += 1
        let generation = flows[slot].generation
        flows[slot] = flow
        flows[slot].generation = generation
        progress[slot] = Progress()
        progress[slot].phase = phase
        progress[slot].openedAt = TransferTable.stamp(now)
        history[slot] = History()
        history[slot].requestHash = requestHash
        history[slot].startedAt = TransferTable.milliseconds(now)
        history[slot].progressAt = TransferTable.stamp(now)
        index.insert(slot, in: flows)
        return slot
    }

    /// Gives `slot` back. What the store or the ring still says about it is told by its generation.
    package mutating func release(_ slot: Int) {
        assert(progress[slot].phase != .free)
        keepPace(slot)
        index.remove(slot, in: flows)
        wheel.cancel(slot)
        if outliving == UInt32(slot) { outliving = TransferTable.noSlot }
        progress[slot].phase = .free
        flows[slot].generation &+= 1
        links[slot] = firstFree
        firstFree = UInt32(slot)
        activeCount -= 1
    }

    // MARK: Time

    static func stamp(_ now: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: now >> 10) }

    static func milliseconds(_ now: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: now / 1_000_000)
    }

    /// Nanoseconds between two stamps.
    static func elapsed(from earlier: UInt32, to later: UInt32) -> UInt64 {
        UInt64(later &- earlier) << 10
    }

    /// How many nanoseconds the shard may sleep; nil when no deadline is set.
    package func nanosecondsUntilDeadline(now: UInt64) -> UInt64? {
        wheel.nanosecondsUntilNext(now: now)
    }

    /// A slot whose deadline has passed; the caller steps it with `stepTimeout`. Nil when none is
    /// left.
    package mutating func popExpired(now: UInt64) -> Int? { wheel.popExpired(now: now) }

    mutating func schedule(_ slot: Int, in nanoseconds: UInt64, now: UInt64) {
        wheel.schedule(slot, at: now &+ nanoseconds)
    }

    /// Sets the next time-out of a peer that may be silent. The patience with it may end sooner.
    mutating func scheduleTimeout(_ slot: Int, now: UInt64) {
        let patience = patience(of: slot)
        let rest = patience - min(patience, elapsedSinceProgress(slot, now: now))
        schedule(slot, in: min(timeout(of: slot), rest), now: now)
    }

    func elapsedSinceProgress(_ slot: Int, now: UInt64) -> UInt64 {
        TransferTable.elapsed(from: history[slot].progressAt, to: TransferTable.stamp(now))
    }

    // MARK: The end

    /// How long ago the request came.
    package func ageMilliseconds(of slot: Int, now: UInt64) -> UInt32 {
        TransferTable.milliseconds(now) &- history[slot].startedAt
    }

    /// What is known of `slot` when it ends.
    package func summary(of slot: Int, now: UInt64) -> TransferSummary {
        let before = progress[slot]
        return TransferSummary(
            flow: flows[slot], isReceiver: before.flags.contains(.receiver),
            blksize: before.blksize, windowsize: before.windowsize,
            blocksAcked: before.acked,
            isLastAcked: before.acked == before.last,
            retransmissionCount: history[slot].retransmissionCount,
            milliseconds: ageMilliseconds(of: slot, now: now))
    }
}
