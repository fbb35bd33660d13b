import TFTPCore
import TFTPWire

/// One run: a server and its clients, a network that lies, and a clock that jumps to whatever is
/// next.
///
/// Nothing in it depends on anything but the scenario, so a seed that fails fails again.
package struct Simulation: ~Copyable {
    private var server: ServerWorld
    private var clients: ClientWorld
    private var outside: Environment
    private let hadFates: Bool

    /// Far more than the longest run takes.
    private static let eventsMax = 2_000_000
    private static let durationMaxNanoseconds: UInt64 = 3_600_000_000_000
    /// Sends packets that belong to other transfers.
    private static let stranger = Endpoint(address: Address(ipv4: 0x0A07_0707), port: 7)

    /// Runs `scenario` to its end and returns what was seen.
    package static func run(_ scenario: Scenario, isTracing: Bool = false) -> Checker {
        var simulation = Simulation(scenario, isTracing: isTracing)
        for client in scenario.clients.indices {
            let delay = simulation.outside.random.below(UInt64(50_000_000))
            simulation.outside.schedule(.start(client: client), in: delay)
        }
        for act in scenario.hostile.flatMap({ HostileAct.all(of: $0) }) {
            simulation.outside.schedule(.hostile(act), in: act.time)
        }
        for (file, time) in scenario.replacements {
            simulation.outside.schedule(.replace(file: file), in: time)
        }
        if scenario.drains { simulation.outside.schedule(.drain, in: 300_000_000) }
        simulation.run()
        simulation.checkTheEnd()
        return simulation.outside.checker
    }

    private init(_ scenario: Scenario, isTracing: Bool) {
        var random = SimulationRandom(seed: scenario.seed ^ 0xB007_5708)
        // Time begins at one second, or a little before the stamps or the ticks of the table wrap.
        let now: UInt64 = random.pick([
            1_000_000_000, 1 << 42 - 2_000_000_000, 1 << 54 - 2_000_000_000,
        ])
        hadFates = !scenario.fates.isEmpty
        server = ServerWorld(scenario, now: now)
        clients = ClientWorld(scenario, now: now)
        outside = Environment(
            now: now, random: random, faults: scenario.faults,
            fates: scenario.fates.reversed(), sabotage: scenario.sabotage,
            checker: Checker(scenario), isTracing: isTracing)
    }

    private mutating func run() {
        let end = outside.now + Simulation.durationMaxNanoseconds
        var count = 0
        while outside.checker.violation == nil, let next = nextTime() {
            count += 1
            outside.checker.expect(next < end, "the run does not end within an hour")
            outside.checker.expect(count < Simulation.eventsMax, "the run does not end")
            outside.now = max(outside.now, next)
            // Packets before deadlines: an ACK that has arrived is not a loss.
            while let time = outside.agenda.nextTime, time <= outside.now {
                handle(outside.agenda.removeFirst())
            }
            expireDeadlines()
        }
    }

    private func nextTime() -> UInt64? {
        var next = outside.agenda.nextTime ?? .max
        if let sleep = server.sleepNanoseconds(now: outside.now), sleep > 0 {
            next = min(next, outside.now + sleep)
        }
        if let sleep = clients.sleepNanoseconds(now: outside.now), sleep > 0 {
            next = min(next, outside.now + sleep)
        }
        return next == .max ? nil : next
    }

    private mutating func handle(_ event: Event) {
        switch event {
        case .arrival(let datagram): deliver(datagram)
        case .reply(let reply, let epoch): server.handle(reply, epoch: epoch, &outside)
        case .commit(let upload, let epoch): server.commit(upload, epoch: epoch, &outside)
        case .hostile(let act): server.receive(act, &outside)
        case .drain: server.drain(&outside)
        case .visit: server.visit(&outside)
        case .replace(let file): server.replace(file, &outside)
        case .sendRefused(let slot, let generation, let epoch):
            server.refuseSend(slot, generation: generation, epoch: epoch, &outside)
        case .start(let client): clients.start(client, &outside)
        case .moveContent(let session): clients.moveContent(session, &outside)
        case .visitClients: clients.visit(&outside)
        }
    }

    private mutating func deliver(_ datagram: Datagram) {
        outside.trace(datagram, "arrives")
        if datagram.target == Simulation.stranger {
            let isError5 = datagram.bytes.starts(with: [0, 5, 0, 5])
            outside.checker.expect(isError5, "a stranger was told something else than ERROR 5")
            return
        }
        let isForServer = datagram.target.address == Environment.serverAddress
        guard !isForServer || ServerWorld.has(port: datagram.target.port) else {
            return outside.checker.fail("a client speaks to a port that the server does not have")
        }
        guard !isForServer || !outside.isDeaf(to: datagram) else { return }
        guard !isForServer || !meetsOldServer(datagram) else { return }
        var copy = datagram
        copy.source = Simulation.stranger
        let isIntruded =
            outside.random.chance(perMille: outside.faults.intrusionPerMille)
            && datagram.target.port != Environment.requestPort
        // A client has to take the server's answer for the first one even then.
        if isIntruded && !isForServer { clients.receive(copy, &outside) }
        if isForServer {
            server.receive(datagram, &outside)
        } else {
            clients.receive(datagram, &outside)
        }
        if isIntruded && isForServer { server.receive(copy, &outside) }
    }

    /// Whether an old server has dealt with a request that has options. It knows some that the
    /// client cannot go without: they ask for a part of a file.
    private mutating func meetsOldServer(_ datagram: Datagram) -> Bool {
        guard outside.faults.oldServer != .none,
            let packet = try? Packet(parsing: datagram.bytes.span.bytes),
            case .request(let request) = packet
        else { return false }
        let options = Options(parsing: request.options)
        guard !options.isEmpty, !options.isPartial else { return false }
        if outside.faults.oldServer == .refusesOptions {
            outside.checker.noteHeardByServer(datagram.source)
            outside.send(
                .error(.optionNegotiation, "No options"), from: Environment.serverEndpoint,
                to: datagram.source)
        }
        return true
    }

    private mutating func expireDeadlines() {
        server.expireDeadlines(&outside)
        clients.expireDeadlines(&outside)
    }

    private mutating func checkTheEnd() {
        guard outside.checker.violation == nil else { return }
        clients.checkTheEnd(&outside)
        server.checkTheEnd(&outside)
        checkTheEffort()
    }

    /// Nothing is sent again without a reason.
    ///
    /// - Where datagrams keep their order a lost one costs at most two rewinds: its own, and one
    ///   more where the time-outs of both ends come at the same time.
    /// - Where they do not, each ACK number may be a gap, and costs a window at most.
    private mutating func checkTheEffort() {
        let faults = outside.faults
        guard faults.departurePerMille == 0, outside.fates.isEmpty else { return }
        let checker = outside.checker
        if faults.keepsOrder && !hadFates {
            outside.checker.expect(
                checker.rewindCount <= 2 * checker.datagramsLost,
                "\(checker.rewindCount) rewinds for \(checker.datagramsLost) datagrams lost")
        }
        let windowsizeMax = 64
        outside.checker.expect(
            checker.blocksSent <= windowsizeMax * (checker.blocksNeeded + checker.datagramsLost),
            "\(checker.blocksSent) blocks sent for \(checker.blocksNeeded) needed")
    }
}
