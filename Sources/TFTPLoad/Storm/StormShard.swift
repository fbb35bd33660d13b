internal import Glibc
internal import Histogram
internal import SystemPackage
internal import TFTPCore
internal import TFTPShard
internal import TFTPWire

/// One thread of a storm: its machines, the way to the network, and what it has seen.
///
/// On the loopback network machine `n` speaks from 127.1.0.1 + n, so a handful of sockets does for thousands, and the
/// address that a datagram was for says whose it is. Elsewhere each machine has two sockets, for "another port".
struct StormShard: ~Copyable {
    private let configuration: StormConfiguration
    private let board: StormBoard
    private let isLearning: Bool
    private let sockets: ClientSockets
    private var port: DatagramPort
    private var machines: MachineTable
    private var report = StormReport()
    /// The socket that a machine's present stage speaks through.
    private let socketOf: Column<UInt16>
    private let fileOf: Column<UInt16>
    /// When the boot should have begun: later than it did where no machine was free (open loop).
    private let dueAt: Column<UInt64>
    private var idle: [Int]
    private let firstMachine: Int
    private let shardIndex: Int
    private let names: [[UInt8]]
    private var profiles = WeightedPicks()
    private var files = WeightedPicks()
    private var random: UInt64
    private var now: UInt64
    private let beganAt: UInt64
    private var startedCount = 0
    private var isOutOfBoots = false
    private var told = (done: 0, failed: 0, bytes: UInt64(0), packets: UInt64(0))

    private static let sharedSocketCount = 8
    private static let loopbackBase: UInt32 = 0x7F01_0001
    private static let startsPerTurn = 256
    private static let timeoutsPerTurn = 512

    init(
        _ configuration: StormConfiguration, index: Int, board: StormBoard, isLearning: Bool
    ) throws(StormError) {
        let first = configuration.machineCount * index / configuration.shardCount
        let end = configuration.machineCount * (index + 1) / configuration.shardCount
        let count = max(1, end - first)
        let names = try StormShard.names(configuration)
        let sockets = try StormShard.openSockets(configuration, machineCount: count)
        let port = try StormShard.makePort(sockets)
        self.sockets = sockets
        self.port = port
        self.configuration = configuration
        self.board = board
        self.isLearning = isLearning
        self.names = names
        firstMachine = first
        shardIndex = index
        now = monotonicNow()
        beganAt = now
        machines = MachineTable(capacity: count, now: beganAt)
        socketOf = Column(repeating: 0, count: count)
        fileOf = Column(repeating: 0, count: count)
        dueAt = Column(repeating: 0, count: count)
        idle = (0..<count).reversed()
        random = configuration.seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index + 1)
        for file in configuration.files { files.add(weight: file.weight) }
        for share in configuration.clients {
            _ = machines.addProfile(StormShard.profile(share.kind, configuration.plain))
            profiles.add(weight: share.share)
        }
    }

    private static func names(
        _ configuration: StormConfiguration
    ) throws(StormError) -> [[UInt8]] {
        let names = configuration.files.map { Array($0.name.utf8) }
        for name in names where name.count > MachineTable.nameByteCountMax || name.contains(0) {
            throw .name(String(decoding: name, as: UTF8.self))
        }
        return names
    }

    private static func openSockets(
        _ configuration: StormConfiguration, machineCount: Int
    ) throws(StormError) -> ClientSockets {
        let server = configuration.server.address
        let isShared = server.isLoopback && server.isIPv4
        let takesLarge = (configuration.plain.blksize ?? 0) > ClientSockets.smallPayloadByteCountMax
        do throws(Errno) {
            return try ClientSockets(
                count: isShared ? sharedSocketCount : 2 * machineCount, isIPv6: !server.isIPv4,
                coalesces: configuration.coalesces, takesLarge: takesLarge)
        } catch {
            throw .sockets(error)
        }
    }

    private static func makePort(
        _ sockets: borrowing ClientSockets
    ) throws(StormError) -> DatagramPort {
        do throws(Errno) {
            return try sockets.makePort()
        } catch {
            throw .ring(error)
        }
    }

    private static func profile(
        _ kind: ClientKind, _ options: StormConfiguration.PlainOptions
    ) -> ClientProfile {
        guard kind == .plain else {
            var profile = ClientProfile(kind)
            // Bytes are checked against the file, so nobody may translate them on the way.
            profile.mode = .octet
            return profile
        }
        return .plain(
            blksize: options.blksize, windowsize: options.windowsize, timeout: options.timeout)
    }

    // MARK: The loop

    mutating func run() throws(StormError) -> StormReport {
        let cpuBefore = StormShard.threadCPUSeconds()
        do throws(Errno) {
            while !isOver() { try turn() }
            try takeLeave()
            // The last ACKs leave with one more enter.
            try port.enter(nanoseconds: 0)
        } catch {
            throw .ring(error)
        }
        port.close()
        report.seconds = Double(now - beganAt) / 1e9
        report.ownCPUSeconds = StormShard.threadCPUSeconds() - cpuBefore
        report.duplicateCount = machines.counters.duplicates
        report.gapCount = machines.counters.gaps
        report.strayCount += machines.counters.strangers
        report.retransmissionCount =
            machines.counters.retransmittedRequests + machines.counters.retransmittedACKs
        report.wasInterrupted = board.isInterrupted
        tell()
        return report
    }

    private func isOver() -> Bool {
        if board.isInterrupted { return true }
        if case .seconds(let seconds) = configuration.ending, Double(now - beganAt) / 1e9 >= seconds
        {
            return true
        }
        return isOutOfBoots && machines.activeCount == 0
    }

    /// Closes the transfers that the end of the storm has met, or the server would repeat to nobody.
    private mutating func takeLeave() throws(Errno) {
        for machine in 0..<machines.capacity where machines.isActive(machine) {
            if !port.hasRoom { try port.enter(nanoseconds: 0) }
            sendError(.fileClosed, machine, machines.serverTID(of: machine))
        }
    }

    private mutating func turn() throws(Errno) {
        try port.enter(nanoseconds: sleepNanoseconds())
        now = monotonicNow()
        let count = port.drain()
        for index in 0..<count {
            switch unsafe port.event(index) {
            case .datagram(let arrival):
                unsafe handle(arrival)
                unsafe port.release(arrival)
            case .sendFailed, .bell, .nothing: break
            }
        }
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
        let packets = report.packetsIn + report.packetsOut
        board.add(
            done: report.doneCount - told.done, failed: report.failedCount - told.failed,
            bytes: report.byteCount - told.bytes, packets: packets - told.packets)
        told = (report.doneCount, report.failedCount, report.byteCount, packets)
    }

    private static func threadCPUSeconds() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    // MARK: Beginning

    /// When this shard's boot number `number` is due.
    private func dueTime(of number: Int) -> UInt64 {
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
            if case .transfers(let limit) = configuration.ending, !board.takeBoot(of: limit) {
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
        fileOf[machine] = UInt16(configuration.asksInTurn ? nextInTurn : files.pick(nextRandom()))
        let profile = profiles.pick(nextRandom())
        perform(machines.start(machine, profile: profile, now: now), machine, replyPort: nil)
    }

    /// The file of the boot that was counted last.
    private var nextInTurn: Int {
        let boot = (startedCount - 1) * configuration.shardCount + shardIndex
        return boot % configuration.files.count
    }

    /// SplitMix64.
    private mutating func nextRandom() -> UInt64 {
        random &+= 0x9E37_79B9_7F4A_7C15
        var word = random
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }

    // MARK: Datagrams in

    /// Whether each machine has sockets of its own, because the network has no addresses to spare.
    private var isOneToOne: Bool {
        !(configuration.server.address.isLoopback && configuration.server.address.isIPv4)
    }

    @unsafe
    private mutating func handle(_ arrival: DatagramPort.Arrival) {
        let flow = unsafe arrival.flow
        guard let machine = machine(of: flow), flow.peer.address == configuration.server.address
        else {
            report.strayCount += 1
            return
        }
        let bytes = unsafe arrival.payload.bytes
        let segment = unsafe arrival.segmentByteCount
        let step = segment > 0 ? segment : max(1, bytes.byteCount)
        var offset = 0
        repeat {
            let end = min(offset + step, bytes.byteCount)
            report.packetsIn += 1
            handle(bytes.extracting(offset..<end), machine, flow.peer.port)
            offset = end
        } while offset < bytes.byteCount
    }

    /// Whose datagram it is; nil when the machine speaks through another socket by now.
    private func machine(of flow: Flow) -> Int? {
        let machine =
            isOneToOne
            ? Int(flow.socket) / 2
            : Int(flow.local.ipv4 &- StormShard.loopbackBase) - firstMachine
        guard machine >= 0, machine < machines.capacity, socketOf[machine] == flow.socket else {
            return nil
        }
        return machine
    }

    private mutating func handle(_ bytes: RawSpan, _ machine: Int, _ peerPort: UInt16) {
        guard machines.isActive(machine) else { return }
        guard machines.admits(machine, port: peerPort) else {
            perform(machines.stepStranger(machine, now: now), machine, replyPort: peerPort)
            return
        }
        let packet: Packet
        do throws(PacketError) {
            packet = try Packet(parsing: bytes)
        } catch {
            report.malformedCount += 1
            return
        }
        switch packet {
        case .data(let block, let payload):
            let effect = machines.stepData(
                machine, block: block, byteCount: payload.byteCount, now: now)
            recordTurnaround(machine)
            guard check(effect, payload, machine) else { return }
            perform(effect, machine, replyPort: peerPort)
        case .oack(let options):
            let effect = machines.stepOACK(
                machine, options: Options(parsing: options), flaws: OACKFlaws(scanning: options),
                now: now)
            recordTurnaround(machine)
            if machines.phase(of: machine) == .receiving { noteGrant(machine) }
            perform(effect, machine, replyPort: peerPort)
        case .error(let code, _):
            report.errorsByCode[code.rawValue, default: 0] += 1
            perform(machines.stepError(machine, code: code, now: now), machine, replyPort: peerPort)
        case .ack, .request:
            report.malformedCount += 1
        }
    }

    private mutating func noteGrant(_ machine: Int) {
        report.noteGrant(
            blksize: machines.blksize(of: machine), windowsize: machines.windowsize(of: machine))
    }

    private mutating func recordTurnaround(_ machine: Int) {
        if let nanoseconds = machines.lastTurnaroundNanoseconds(machine) {
            _ = report.turnaround.record(nanoseconds)
        }
    }

    /// Checks a payload that is new. False when it is wrong, and the boot has ended by that.
    private mutating func check(
        _ effect: MachineTable.Effect, _ payload: RawSpan, _ machine: Int
    ) -> Bool {
        guard let accepted = effect.accept else { return true }
        report.byteCount += UInt64(payload.byteCount)
        // Without an OACK, block 1 says that the defaults stand.
        if accepted.block == 1 { noteGrant(machine) }
        let file = configuration.files[Int(fileOf[machine])]
        guard let reference = file.reference else { return true }
        let offset = Int(accepted.block - 1) * machines.blksize(of: machine)
        if isLearning {
            if reference.learn(payload, at: offset) { return true }
            fail(machine, "too large to check")
            return false
        }
        var wrong = reference.mismatch(payload, at: offset)
        if wrong == nil && accepted.isLast && offset + payload.byteCount != reference.byteCount {
            wrong = offset + payload.byteCount
        }
        guard let wrong else { return true }
        report.firstWrongByte =
            report.firstWrongByte
            ?? .init(name: file.name, block: accepted.block, offset: wrong)
        sendError(.illegalOperation, machine, machines.serverTID(of: machine))
        fail(machine, "wrong byte")
        return false
    }

    // MARK: Effects

    private mutating func perform(
        _ effect: MachineTable.Effect, _ machine: Int, replyPort: UInt16?
    ) {
        let tid = replyPort ?? machines.serverTID(of: machine)
        if let block = effect.ack, let tid { sendAck(block, machine, tid) }
        if let reply = effect.error { sendError(reply, machine, tid) }
        if let request = effect.request { sendRequest(machine, isFromNewPort: request.fromNewPort) }
        if let result = effect.result { end(machine, result) }
    }

    private mutating func end(_ machine: Int, _ result: BootResult) {
        guard case .failed(let failure) = result else {
            report.doneCount += 1
            _ = report.bootTime.record(now - dueAt[machine])
            idle.append(machine)
            return
        }
        fail(machine, failure.text)
    }

    private mutating func fail(_ machine: Int, _ cause: String) {
        machines.stop(machine)
        report.failedCount += 1
        report.causes[cause, default: 0] += 1
        idle.append(machine)
    }

    private func flow(_ machine: Int, _ port: UInt16) -> Flow {
        let local =
            isOneToOne
            ? Address.unspecified
            : Address(ipv4: StormShard.loopbackBase + UInt32(firstMachine + machine))
        return Flow(
            peer: Endpoint(address: configuration.server.address, port: port), local: local,
            socket: socketOf[machine])
    }

    private mutating func sendRequest(_ machine: Int, isFromNewPort: Bool) {
        if isFromNewPort { takeNextSocket(machine) }
        let name = names[Int(fileOf[machine])]
        send(to: flow(machine, configuration.server.port)) { machines, output in
            unsafe machines.writeRequest(machine, name: name.span.bytes, into: &output)
        }
    }

    private func takeNextSocket(_ machine: Int) {
        let current = Int(socketOf[machine])
        let next =
            isOneToOne ? 2 * machine + (current + 1) % 2 : (current + 1) % sockets.count
        socketOf[machine] = UInt16(next)
    }

    private mutating func sendAck(_ block: BlockNumber, _ machine: Int, _ tid: UInt16) {
        send(to: flow(machine, tid)) { machines, output in
            machines.writeAck(machine, block: block, into: &output)
        }
    }

    private mutating func sendError(_ reply: ErrorReply, _ machine: Int, _ tid: UInt16?) {
        guard let tid else { return }
        send(to: flow(machine, tid)) { machines, output in
            machines.writeError(reply, into: &output)
        }
    }

    /// Queues one packet. One that finds no room is lost, as on a network, and the machine's own timer repeats it.
    private mutating func send(
        to flow: Flow, _ write: (borrowing MachineTable, inout OutputRawSpan) -> Void
    ) {
        // The room is the port's own scratch and is sent from in this very turn.
        guard let room = unsafe port.makeRoom(byteCount: MachineTable.packetByteCountMax) else {
            return
        }
        var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
        write(machines, &output)
        let count = unsafe output.finalize(for: room)
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: room[..<count])
        if unsafe port.send(bytes, to: flow, tag: DatagramPort.untagged) { report.packetsOut += 1 }
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

extension BootFailure {
    /// The cause, as reports group it.
    var text: String {
        switch self {
        case .notFound: "not found"
        case .errorFromServer(let code): "ERROR \(code.rawValue) from the server"
        case .timedOut(.receiving): "timed out while receiving"
        case .timedOut: "timed out without an answer"
        case .badOACK(let fault): "bad OACK (\(fault.text))"
        case .noOACK: "no OACK"
        case .repeatedOACK: "OACK again in mid-transfer"
        case .overlongBlock: "block longer than the blksize"
        case .blockZeroEarly: "block 0 before 65535"
        case .repeated65535: "block 65535 twice"
        case .strangeTID: "packet from another port"
        }
    }
}

extension OACKFault {
    fileprivate var text: String {
        switch self {
        case .unasked(let name): "\(name) was not asked for"
        case .unaskedUnknown: "an option that was not asked for"
        case .raised(let name): "\(name) raised"
        case .changed(let name): "\(name) changed"
        case .outOfRange(let name): "\(name) out of range"
        case .missing(let name): "\(name) missing"
        case .emptyFile: "tsize 0"
        case .unterminated: "no NUL at the end"
        case .malformedPair: "a name without a value"
        }
    }
}
