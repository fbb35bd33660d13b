internal import Glibc
internal import Histogram
internal import SystemPackage
internal import TFTPCore
internal import TFTPReactor
internal import TFTPWire

/// One thread of a storm: its machines, the way to the network, and what it has seen.
///
/// (More than twelve properties: half are what has been seen, which the report takes over.)
struct StormShard: ~Copyable {
    let configuration: StormConfiguration
    let purpose: Purpose
    var port: DatagramPort
    var machines: MachineTable
    /// By machine; empty where nothing is sealed.
    var seals: [StormSeal]
    var report = StormReport()
    /// The socket that a machine's present stage speaks through.
    let socketOf: Column<UInt16>
    let fileOf: Column<UInt16>
    /// When the boot should have begun: later than it did where no machine was free (open loop).
    let dueAt: Column<UInt64>
    var idle: [Int]
    let firstMachine: Int
    private let index: Int
    let names: [[UInt8]]
    /// Expected content by file. Kept apart from `files`, because a packet needs nothing else of a
    /// file.
    let references: [Reference?]
    let socketCount: Int
    /// Whether each machine has sockets of its own, because the network has no addresses to spare.
    let isOneToOne: Bool
    var now: UInt64
    private let progress: StormProgress
    /// Open as long as the port uses them.
    private let sockets: StormSockets
    private var profiles = WeightedPicks()
    private var files = WeightedPicks()
    private var random: SplitMix64
    var beganAt: UInt64
    var startedCount = 0
    var silence: Silence
    private var isOutOfBoots = false
    private var told = StormSample(seconds: 0)

    private static let startsPerTurn = 256
    private static let timeoutsPerTurn = 512

    init(
        _ configuration: StormConfiguration, index: Int, sockets: StormSockets,
        progress: StormProgress,
        purpose: Purpose
    ) throws(StormError) {
        let own = configuration.machines(ofShard: index)
        do throws(Errno) {
            port = try sockets.sockets.makePort()
        } catch {
            throw .ring(error)
        }
        self.sockets = sockets
        self.configuration = configuration
        self.progress = progress
        self.purpose = purpose
        socketCount = sockets.sockets.count
        isOneToOne = !StormSockets.areShared(configuration.server)
        names = configuration.files.map { Array($0.name.utf8) }
        references = configuration.files.map(\.reference)
        firstMachine = own.lowerBound
        self.index = index
        now = monotonicNow()
        beganAt = now
        silence = Silence(now: now)
        machines = MachineTable(capacity: own.count, now: now)
        seals =
            configuration.sealKey.map { Array(repeating: StormSeal($0), count: own.count) } ?? []
        socketOf = Column(repeating: 0, count: own.count)
        fileOf = Column(repeating: 0, count: own.count)
        dueAt = Column(repeating: 0, count: own.count)
        idle = (0..<own.count).reversed()
        random = SplitMix64(
            seed: configuration.seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index + 1))
        for file in configuration.files { files.add(weight: file.weight) }
        for share in configuration.clients {
            _ = machines.addProfile(StormShard.profile(share.kind, configuration.plain, purpose))
            profiles.add(weight: share.share)
        }
    }

    enum Purpose {
        /// One machine asks whether the file is there.
        case asking
        /// One machine fetches the file, and what it gets is what every other must get.
        case learning
        case storming
    }

    private static func profile(
        _ kind: ClientKind, _ options: StormConfiguration.PlainOptions, _ purpose: Purpose
    ) -> ClientProfile {
        switch purpose {
        case .asking: return .asking
        case .learning: return .learning
        case .storming: break
        }
        guard kind == .plain else {
            var profile = ClientProfile(kind)
            // Bytes are compared with the file, so the mode must not translate them.
            profile.mode = .octet
            return profile
        }
        return .plain(
            blksize: options.blksize, windowsize: options.windowsize, timeout: options.timeout)
    }

    // MARK: The loop

    mutating func run() throws(StormError) -> StormReport {
        let cpuBefore = StormShard.threadCPUSeconds()
        beganAt = progress.beganAt
        now = monotonicNow()
        silence = Silence(now: now)
        do throws(Errno) {
            while !isOver() { try turn() }
            report.seconds = Double(now - beganAt) / 1e9
            countWaiting()
            try takeLeave()
        } catch {
            throw .ring(error)
        }
        port.close()
        report.ownCPUSeconds = StormShard.threadCPUSeconds() - cpuBefore
        report.duplicateCount = machines.counters.duplicates
        report.gapCount = machines.counters.gaps
        report.strayCount += machines.counters.strangers
        report.retransmissionCount =
            machines.counters.retransmittedRequests + machines.counters.retransmittedACKs
        report.wasInterrupted = progress.isInterrupted
        tell()
        return report
    }

    /// Sends the server an ERROR for every transfer under way, or it would keep repeating. Queued
    /// packets are sent first.
    private mutating func takeLeave() throws(Errno) {
        for machine in 0..<machines.capacity where machines.isActive(machine) {
            if !port.hasRoom { try port.enter(nanoseconds: 0) }
            sendError(.switchedOff, machine, machines.serverTID(of: machine))
            machines.stop(machine)
        }
        try port.enter(nanoseconds: 0)
    }

    private func isOver() -> Bool {
        if progress.isInterrupted || report.unreachable != nil { return true }
        if case .seconds(let seconds) = configuration.ending, Double(now - beganAt) / 1e9 >= seconds
        {
            return true
        }
        return isOutOfBoots && machines.activeCount == 0
    }

    private mutating func turn() throws(Errno) {
        try port.enter(nanoseconds: sleepNanoseconds())
        now = monotonicNow()
        let heardBefore = report.packetsIn
        let isWaiting = machines.activeCount > 0
        let count = port.drain()
        for index in 0..<count {
            switch unsafe port.event(index) {
            case .datagram(let arrival):
                unsafe handle(arrival)
                unsafe port.release(arrival)
            case .sendFailed(_, let errno):
                report.unsentCount += 1
                noteRefusal(errno)
            case .receiveFailed(_, let errno): noteRefusal(errno)
            case .wakeup, .nothing: break
            }
        }
        silence.step(isWaiting: isWaiting, hasHeard: report.packetsIn > heardBefore, now: now)
        for _ in 0..<StormShard.timeoutsPerTurn {
            guard let machine = machines.popExpired(now: now) else { break }
            perform(machines.stepTimeout(machine, now: now), machine, replyPort: nil)
        }
        startDue()
        port.finishTurn()
        tell()
    }

    /// At most a tenth of a second, so that an interruption and the end of the time are noticed.
    private func sleepNanoseconds() -> UInt64 {
        var limit: UInt64 = 100_000_000
        if case .seconds(let seconds) = configuration.ending {
            let left = seconds * 1e9 - Double(now - beganAt)
            limit = UInt64(min(Double(limit), max(0, left)))
        }
        if let deadline = machines.nanosecondsUntilDeadline(now: now) {
            limit = min(limit, deadline)
        }
        guard !isOutOfBoots, !idle.isEmpty else { return limit }
        let due = dueTime(of: startedCount)
        return due <= now ? 0 : min(limit, due - now)
    }

    private mutating func tell() {
        var sample = StormSample(seconds: 0)
        sample.doneCount = report.doneCount
        sample.failedCount = report.failedCount
        sample.byteCount = report.byteCount
        sample.packetCount = report.packetsIn + report.packetsOut
        sample.runningCount = machines.activeCount
        sample.lateCount = offeredCount - startedCount
        progress.add(sample, since: told)
        told = sample
    }

    private static func threadCPUSeconds() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    // MARK: Beginning

    /// When this shard's boot number `number` is due.
    func dueTime(of number: Int) -> UInt64 {
        if let rate = configuration.startsPerSecond {
            let perShard = rate / Double(configuration.shardCount)
            return beganAt + UInt64(Double(number) / perShard * 1e9)
        }
        guard number < machines.capacity else { return 0 }
        let share = Double(number) / Double(machines.capacity)
        return beganAt + UInt64(configuration.rampSeconds * share * 1e9)
    }

    private mutating func startDue() {
        for _ in 0..<StormShard.startsPerTurn {
            guard !isOutOfBoots, let machine = idle.last else { return }
            let due = dueTime(of: startedCount)
            guard due <= now else { return }
            if case .transfers(let limit) = configuration.ending, !progress.takeBoot(of: limit) {
                isOutOfBoots = true
                return
            }
            idle.removeLast()
            startedCount += 1
            start(machine, due: configuration.startsPerSecond == nil ? now : due)
        }
    }

    private mutating func start(_ machine: Int, due: UInt64) {
        dueAt[machine] = due
        fileOf[machine] = UInt16(configuration.asksInTurn ? nextInTurn : files.pick(random.next()))
        let profile = profiles.pick(random.next())
        perform(machines.start(machine, profile: profile, now: now), machine, replyPort: nil)
    }

    /// The file of the boot that was counted last.
    private var nextInTurn: Int {
        let boot = (startedCount - 1) * configuration.shardCount + index
        return boot % configuration.files.count
    }
}

/// A choice among numbers with weights.
struct WeightedPicks {
    private var bounds: [UInt64] = []

    mutating func add(weight: Int) { bounds.append((bounds.last ?? 0) + UInt64(max(1, weight))) }

    func pick(_ random: UInt64) -> Int {
        guard bounds.count > 1, let total = bounds.last else { return 0 }
        let point = random % total
        return bounds.firstIndex { point < $0 } ?? 0
    }
}
