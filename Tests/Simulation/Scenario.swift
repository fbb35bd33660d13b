import TFTPCore
import TFTPWire

/// One run: what each client wants, and what goes wrong. All of it follows from the seed.
package struct Scenario: Sendable {
    package let seed: UInt64
    package var faults: Faults
    package var sabotage = Sabotage.none
    /// The fates of the first datagrams, before chance takes over.
    var fates: [Fate] = []
    /// What each client does, one task after the other.
    var clients: [[ClientTask]]
    /// The content of each file that the server has.
    var files: [[UInt8]]
    /// Slots of the server's table. With few, some clients are told that it is busy.
    var serverCapacity: Int
    /// Transfers speak from the socket that requests come to.
    var isSinglePort = false
    /// The network holds a copy of a request back until its first answer was acknowledged.
    var hasLateDuplicates = false
    /// Attackers that send in addition to the clients.
    var hostile: [HostileAct.Kind] = []
    /// Which files are replaced, and when.
    var replacements: [(file: Int, time: UInt64)] = []
    /// The server is to end in the middle, and starts again.
    package var drains = false
    /// How many blocks the server sends in one visit.
    var batchMax: Int
    /// What one client, or all clients together, are sent in a second.
    var clientBytesPerSecond: Int?
    var networkBytesPerSecond: Int?

    /// A few clients with small files of all kinds.
    package init(seed: UInt64) {
        var random = SimulationRandom(seed: seed)
        self.seed = seed
        faults = Faults.draw(seed: seed, using: &random)
        serverCapacity = random.chance(perMille: 150) ? 2 : 64
        batchMax = random.pick([1, 3, 64])
        files = []
        clients = []
        for client in 0..<(1 + random.below(12)) {
            var tasks: [ClientTask] = []
            for number in 0..<(1 + random.below(2)) {
                var task = drawTask(client: client, number: number, using: &random)
                task.keepApart(from: tasks.last)
                tasks.append(task)
            }
            clients.append(tasks)
        }
        // Where one port serves all, late duplicates of a request pass for a restart, and nothing
        // tells late packets of a port's last transfer from those of its next.
        isSinglePort =
            faults.delayMaxNanoseconds < 20_000_000 && !mayReplace
            && random.chance(perMille: 500)
        hostile = HostileAct.Kind.drawn.filter { _ in random.chance(perMille: 150) }
        // A table for two is full of honest clients; and what was evicted is forgotten.
        if serverCapacity < 64 || hostile.contains(.flood) {
            hostile.removeAll { $0 == .repeatedRequest || ($0 == .flood && serverCapacity < 64) }
        }
        hasLateDuplicates = random.chance(perMille: 200)
        drains = random.chance(perMille: 50)
        drawSwarm()
    }

    /// What came later than the rest of a scenario, with random numbers of its own.
    private mutating func drawSwarm() {
        var random = SimulationRandom(seed: seed ^ 0xF11E_5EED)
        if random.chance(perMille: 150) { hostile.append(.portZero) }
        if random.chance(perMille: 150) { hostile.append(.odd) }
        drawRates()
        // A size tells the answers to two requests of one port apart.
        if mayReplace { (faults.replacesFiles, faults.oldServer) = (false, .none) }
        guard faults.replacesFiles else { return }
        for file in files.indices where random.chance(perMille: 500) {
            replacements.append((file, random.below(UInt64(1_500_000_000))))
        }
    }

    private mutating func drawRates() {
        var random = SimulationRandom(seed: seed ^ 0x4A7E_5EED)
        guard random.chance(perMille: 150) else { return }
        let rate = random.pick([4096, 20_000, 200_000])
        if random.chance(perMille: 700) { clientBytesPerSecond = rate }
        if random.chance(perMille: 500) { networkBytesPerSecond = 2 * rate }
    }

    /// Clients that want anything.
    package var clientCount: Int { clients.count { !$0.isEmpty } }

    /// Whether a client may begin anew from a port that it has used, so that what it asked for
    /// before is replaced.
    var mayReplace: Bool {
        clients.joined().contains { $0.reusesPort || $0.departure != nil } || drains
    }

    /// One client and one file of `blockCount` full blocks and an empty one.
    package init(seed: UInt64, blockCount: Int, blksize: UInt32, windowsize: UInt32) {
        var random = SimulationRandom(seed: seed)
        self.seed = seed
        faults = Faults()
        serverCapacity = 4
        batchMax = 64
        files = [random.bytes(blockCount * Int(blksize))]
        var options = Options()
        options.blksize = blksize
        options.windowsize = windowsize
        clients = [[ClientTask(opcode: .rrq, name: "0", content: files[0], options: options)]]
    }

    /// The client that wants a file wants this part of it.
    package mutating func ask(for part: Range<Int>) {
        clients[0][0].options.offset = UInt64(part.lowerBound)
        clients[0][0].options.length = UInt64(part.count)
        clients[0][0].content = Array(files[0][part])
    }

    /// One client with three blocks to send or to get, and a network that treats the first
    /// datagrams as given.
    package init(fates: [Fate], windowsize: UInt32, isUpload: Bool) {
        self.init(seed: 1, blockCount: 2, blksize: 8, windowsize: windowsize)
        self.fates = fates
        guard isUpload else { return }
        clients[0][0].opcode = .wrq
        clients[0][0].name = "u"
    }

    private mutating func drawTask(
        client: Int, number: Int, using random: inout SimulationRandom
    ) -> ClientTask {
        let options = Scenario.drawOptions(using: &random)
        let blksize = Int(options.blksize ?? 512)
        let byteCount = Scenario.drawByteCount(blksize: blksize, using: &random)
        let isUpload = random.chance(perMille: 350)
        var task = ClientTask(
            opcode: isUpload ? .wrq : .rrq, name: isUpload ? "u\(client)-\(number)" : "",
            content: random.bytes(byteCount), options: options)
        task.reusesPort = random.chance(perMille: faults.portReusePerMille)
        if task.reusesPort && task.options.tsize == nil { task.options.tsize = 0 }
        if isUpload {
            if task.options.tsize != nil { task.options.tsize = UInt64(byteCount) }
        } else if random.chance(perMille: 50) {
            task.name = "missing"
            task.isMissing = true
        } else if !files.isEmpty && random.chance(perMille: 300) {
            // Many clients read the same file.
            let number = random.below(files.count)
            task.name = "\(number)"
            task.content = files[number]
        } else {
            task.name = "\(files.count)"
            files.append(task.content)
        }
        if !isUpload && !task.isMissing && !task.reusesPort { task.drawPart(using: &random) }
        if random.chance(perMille: faults.departurePerMille) {
            let kind = random.pick(Departure.Kind.allCases)
            task.departure = Departure(kind: kind, packetCount: 1 + random.below(10))
        }
        return task
    }

    private static func drawOptions(using random: inout SimulationRandom) -> Options {
        var options = Options()
        guard !random.chance(perMille: 150) else { return options }
        var names: [Options.Name] = [.blksize, .windowsize, .timeout, .tsize]
        while !names.isEmpty {
            let name = names.remove(at: random.below(names.count))
            guard random.chance(perMille: name == .timeout ? 200 : 700) else { continue }
            switch name {
            case .blksize: options.blksize = UInt32(8 + random.below(57))
            case .windowsize: options.windowsize = random.pick([1, 2, 3, 4, 8, 16, 64])
            case .timeout: options.timeout = UInt32(1 + random.below(3))
            case .tsize: options.tsize = 0
            // Drawn when the size of the file is known.
            case .offset, .length: break
            // Not drawn: the clients here know the RFCs' options.
            case .blksize2, .utimeout, .rollover, .msftwindow: break
            }
        }
        return options
    }

    private static func drawByteCount(
        blksize: Int, using random: inout SimulationRandom
    ) -> Int {
        let blocks = blksize == 512 ? random.below(4) : random.below(50)
        return switch random.below(6) {
        case 0: random.pick([0, 1])
        case 1: random.pick([blksize - 1, blksize, blksize + 1])
        case 2: blocks * blksize
        default: random.below((blocks + 1) * blksize)
        }
    }
}

/// One transfer that a client wants.
struct ClientTask: Sendable {
    var opcode: Opcode
    var name: String
    /// What is sent, or what is to arrive.
    var content: [UInt8]
    var options: Options
    /// The server has no such file.
    var isMissing = false
    var departure: Departure?
    /// The request goes out from the port that the client's last task had. It asks for the size
    /// then, and that is another one: nothing else tells an answer from one that is late.
    var reusesPort = false

    /// Whether only a part of the file is wanted.
    var isPart: Bool { options.offset != nil || options.length != nil }

    /// Perhaps it is only a part of the file that is wanted.
    fileprivate mutating func drawPart(using random: inout SimulationRandom) {
        guard random.chance(perMille: 250) else { return }
        let begin = random.below(content.count + 1)
        options.offset = UInt64(begin)
        content.removeFirst(begin)
        guard random.chance(perMille: 700) else { return }
        // Also more than there is.
        let count = random.below(content.count + 100)
        options.length = UInt64(count)
        content = Array(content.prefix(count))
    }

    fileprivate mutating func keepApart(from previous: ClientTask?) {
        if previous == nil || previous?.content.count == content.count { reusesPort = false }
    }
}

/// How a client leaves a transfer before its end.
struct Departure: Sendable {
    enum Kind: CaseIterable {
        /// It begins anew from the same port with the same request.
        case restart
        /// It is switched off.
        case vanish
        /// It sends ERROR 0.
        case abort
    }

    var kind: Kind
    /// After this number of packets of the transfer.
    var packetCount: Int
}
