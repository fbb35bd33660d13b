internal import TFTPCore

/// One direction of a bad network (sans-IO): says of each packet whether, when and how often it
/// arrives.
///
/// A packet is lost or not, then perhaps doubled; each copy takes its place in the queue, its time
/// on the wire, and the delay. The same seed and the same offers give the same deliveries.
///
/// The wire is Ethernet with an MTU of 1500: a datagram that is larger travels as several frames,
/// each of which takes a place in the queue and can be lost, and all of which it needs.
package struct ImpairedLink: ~Copyable {
    private let way: Impairment.Way
    private var random: SplitMix64
    /// A burst of losses is going on.
    private var isInBurst = false
    /// The chance that a burst begins with a frame, and that it ends with one.
    private let burstBegins: Double
    private let burstEnds: Double
    /// When the last copy has left the wire: no copy before it waits any more.
    private var busyUntil: UInt64 = 0
    /// What the division of bits by rate has left over, so that the rate is met exactly.
    private var remainder: UInt64 = 0
    /// The copies on or before the wire, oldest first, in a ring.
    private let queue: Column<Queued>
    private var queueFirst = 0
    private var queueCount = 0
    private var queuedFrameCount = 0
    package private(set) var counters = Counters()

    private struct Queued: BitwiseCopyable {
        var departsAt: UInt64
        var frameCount: Int
    }

    package struct Counters: BitwiseCopyable, Sendable, Equatable {
        package var offered: UInt64 = 0
        package var lost: UInt64 = 0
        /// Copies that found the queue full.
        package var queueDropped: UInt64 = 0
        package var duplicated: UInt64 = 0
        /// Copies that were held back, for others to overtake.
        package var reordered: UInt64 = 0
    }

    /// When the copies of a packet arrive: none, one or two.
    package struct Deliveries: BitwiseCopyable, Sendable, Equatable {
        package private(set) var first: UInt64?
        package private(set) var second: UInt64?

        package var count: Int { (first == nil ? 0 : 1) + (second == nil ? 0 : 1) }

        fileprivate mutating func add(_ time: UInt64) {
            if first == nil { first = time } else { second = time }
        }
    }

    package init(_ way: Impairment.Way, seed: UInt64) {
        self.way = way
        random = SplitMix64(seed: seed)
        // Gilbert's model: the share of time in a burst is the loss, and a burst lasts as long as
        // asked on average.
        burstEnds = 1 / (way.burst ?? 1)
        burstBegins = way.loss < 1 ? burstEnds * way.loss / (1 - way.loss) : 1
        queue = Column(
            repeating: Queued(departsAt: 0, frameCount: 0),
            count: way.bitsPerSecond == nil ? 1 : way.queueMax)
    }

    /// Takes a packet of `byteCount` bytes of UDP payload. `now`, in nanoseconds, never goes back.
    package mutating func offer(byteCount: Int, now: UInt64) -> Deliveries {
        var deliveries = Deliveries()
        counters.offered += 1
        let frameCount = ImpairedLink.frameCount(byteCount)
        guard !isLost(frameCount) else {
            counters.lost += 1
            return deliveries
        }
        let isTwice = random.isHit(way.duplicate)
        if isTwice { counters.duplicated += 1 }
        for _ in 0..<(isTwice ? 2 : 1) {
            guard let departure = depart(byteCount, frameCount, now: now) else {
                counters.queueDropped += 1
                continue
            }
            deliveries.add(departure + travelNanoseconds())
        }
        return deliveries
    }

    private mutating func isLost(_ frameCount: Int) -> Bool {
        guard way.loss > 0 else { return false }
        var isLost = false
        for _ in 0..<frameCount {
            if way.burst == nil {
                isLost = random.isHit(way.loss) || isLost
            } else {
                isInBurst =
                    isInBurst ? !random.isHit(burstEnds) : random.isHit(burstBegins)
                isLost = isInBurst || isLost
            }
        }
        return isLost
    }

    private mutating func travelNanoseconds() -> UInt64 {
        var time = way.delayNanoseconds
        if way.jitterNanoseconds > 0 { time += random.next() % (way.jitterNanoseconds + 1) }
        if random.isHit(way.reorder) {
            counters.reordered += 1
            time += way.reorderNanoseconds
        }
        return time
    }

    // MARK: The queue and the wire

    /// When the last bit is on its way; nil when the queue is full.
    private mutating func depart(_ byteCount: Int, _ frameCount: Int, now: UInt64) -> UInt64? {
        guard let rate = way.bitsPerSecond else { return now }
        while queueCount > 0, queue[queueFirst].departsAt <= now {
            queuedFrameCount -= queue[queueFirst].frameCount
            queueFirst = (queueFirst + 1) % queue.count
            queueCount -= 1
        }
        guard queuedFrameCount + frameCount <= way.queueMax else { return nil }
        let bits = UInt64(ImpairedLink.wireByteCount(byteCount) * 8)
        if busyUntil < now {
            busyUntil = now
            remainder = 0
        }
        let scaled = bits * 1_000_000_000 + remainder
        busyUntil += scaled / rate
        remainder = scaled % rate
        queue[(queueFirst + queueCount) % queue.count] = Queued(
            departsAt: busyUntil, frameCount: frameCount)
        queueCount += 1
        queuedFrameCount += frameCount
        return busyUntil
    }

    private static let ipHeaderByteCount = 20
    private static let udpHeaderByteCount = 8
    /// What an IP packet of a full frame carries.
    private static let fragmentByteCount = 1480
    /// Preamble, header, checksum and the gap to the next frame.
    private static let ethernetByteCount = 38
    /// A frame carries no less: shorter ones are padded.
    private static let frameByteCountMin = 46

    /// How many frames a datagram travels in.
    package static func frameCount(_ byteCount: Int) -> Int {
        (byteCount + udpHeaderByteCount + fragmentByteCount - 1) / fragmentByteCount
    }

    /// The bytes that a datagram takes on the wire.
    package static func wireByteCount(_ byteCount: Int) -> Int {
        let frameCount = frameCount(byteCount)
        let full = (frameCount - 1) * (fragmentByteCount + ipHeaderByteCount + ethernetByteCount)
        let rest = byteCount + udpHeaderByteCount - (frameCount - 1) * fragmentByteCount
        return full + max(frameByteCountMin, rest + ipHeaderByteCount) + ethernetByteCount
    }
}

extension SplitMix64 {
    /// True with this chance. A chance of zero draws no random number.
    mutating func isHit(_ chance: Double) -> Bool {
        guard chance > 0 else { return false }
        return Double(next() >> 11) * 0x1p-53 < chance
    }
}
