import Foundation
import Synchronization
import Testing

@testable import TFTPFleet

/// `EtcdFleet` on clusters that fail in their ways.
@Suite(.timeLimit(.minutes(2))) struct EtcdFleetTests {
    static let place = FleetPlace(fleet: "f", hall: "h", rack: "r", node: "n")

    static func fleet(
        _ etcd: FakeEtcd, ports: [UInt16]? = nil, user: EtcdFleet.User? = nil
    ) throws -> EtcdFleet {
        let hosts = (ports ?? etcd.ports).map { "127.0.0.1:\($0)" }.joined(separator: ",")
        var access = EtcdFleet.Access()
        access.user = user
        return try EtcdFleet(try #require(EtcdFleet.Address("etcd://\(hosts)/f")), access)
    }

    static func promotion(_ set: String, of fleet: EtcdFleet) async throws -> GuardedChange {
        try Promotion.promote(
            set, to: .fleet, by: "me", at: 1, reason: nil, atLeast: 0,
            in: try await fleet.read().entries)
    }

    static func set(in fleet: EtcdFleet) async throws -> String? {
        try await fleet.read().entries[.current(.fleet)].flatMap {
            FleetValue.read(CurrentSet.self, $0.text)?.set
        }
    }

    @Test func oneOfTwoWins() async throws {
        let etcd = try FakeEtcd(members: 1)
        defer { etcd.stop() }
        let fleet = try Self.fleet(etcd)
        let first = try await Self.promotion("a", of: fleet)
        let second = try await Self.promotion("b", of: fleet)
        #expect(try await fleet.change(first))
        #expect(try await !fleet.change(second))
        #expect(try await Self.set(in: fleet) == "a")
    }

    /// A change that was made is not made again because its answer is lost, and counts as made.
    @Test(arguments: [FakeEtcd.Mood.closesAfterCommit, .refusesAfterCommit])
    func anAnswerThatIsLost(mood: FakeEtcd.Mood) async throws {
        let etcd = try FakeEtcd(members: 2)
        defer { etcd.stop() }
        let fleet = try Self.fleet(etcd)
        #expect(try await fleet.change(try await Self.promotion("a", of: fleet)))
        let change = try await Self.promotion("b", of: fleet)
        let loser = try await Self.promotion("c", of: fleet)
        for member in 0..<2 { etcd.set(mood, of: member) }
        #expect(try await fleet.change(change))
        #expect(etcd.count("txn") == 2)
        // One that loses is told so, whatever becomes of the answer.
        #expect(try await !fleet.change(loser))
        #expect(try await Self.set(in: fleet) == "b")
    }

    /// One that may still come to pass is neither repeated nor called made.
    @Test func aChangeOfWhichNothingIsKnown() async throws {
        let etcd = try FakeEtcd(members: 2)
        defer { etcd.stop() }
        let fleet = try Self.fleet(etcd)
        let change = try await Self.promotion("a", of: fleet)
        for member in 0..<2 { etcd.set(.closesBeforeCommit, of: member) }
        let failure = await #expect(throws: FleetFailure.self) { try await fleet.change(change) }
        guard case .unclear = failure else {
            Issue.record("\(failure as Any)")
            return
        }
        #expect(etcd.count("txn") == 1)
    }

    /// A member that cannot be connected to has heard nothing: the next one is asked.
    @Test func aMemberThatIsGone() async throws {
        let gone = try FakeEtcd(members: 1)
        gone.stop()
        let etcd = try FakeEtcd(members: 1)
        defer { etcd.stop() }
        let fleet = try Self.fleet(etcd, ports: gone.ports + etcd.ports)
        #expect(try await fleet.change(try await Self.promotion("a", of: fleet)))
    }

    /// What is said of members that do not answer names them, and is not the libraries' text.
    @Test func whyNoMemberAnswers() async throws {
        let etcd = try FakeEtcd(members: 1)
        let fleet = try Self.fleet(etcd)
        etcd.set(.frozen, of: 0)
        let member = "http://127.0.0.1:\(etcd.ports[0])"
        await #expect(
            throws: FleetFailure.unreachable("\(member): it does not answer within 1.0 s")
        ) { try await fleet.read() }
        etcd.stop()
        let gone = try Self.fleet(etcd)
        await #expect(throws: FleetFailure.unreachable("\(member): connection refused")) {
            try await gone.read()
        }
    }

    @Test(arguments: [FakeEtcd.Mood.frozen, .stopsInBody])
    func aMemberThatDoesNotAnswer(mood: FakeEtcd.Mood) async throws {
        let etcd = try FakeEtcd(members: 2)
        defer { etcd.stop() }
        etcd.set(mood, of: 0)
        let started = ContinuousClock.now
        _ = try await Self.fleet(etcd).read()
        #expect(ContinuousClock.now - started < .seconds(30))
    }

    @Test func aTokenThatRunsOut() async throws {
        let etcd = try FakeEtcd(members: 1)
        defer { etcd.stop() }
        etcd.state.withLock { $0.token = "one" }
        let fleet = try Self.fleet(etcd, user: .init(name: "me", password: "x"))
        #expect(try await fleet.change(try await Self.promotion("a", of: fleet)))
        etcd.state.withLock { $0.token = "two" }
        #expect(try await Self.set(in: fleet) == "a")
        #expect(etcd.count("authenticate") == 2)
        etcd.state.withLock { $0.token = "three" }
        let stranger = try Self.fleet(etcd)
        await #expect(throws: FleetFailure.denied("the token is not accepted")) {
            try await stranger.read()
        }
    }

    /// What has not changed is not written again, until the lease has run out.
    @Test func aReport() async throws {
        let etcd = try FakeEtcd(members: 1)
        defer { etcd.stop() }
        let fleet = try Self.fleet(etcd)
        var report = NodeReport(address: "x")
        for _ in 0..<3 { try await fleet.report(report, of: Self.place, isMissing: false) }
        #expect(etcd.count("put") == 1 && etcd.count("grant") == 1)
        #expect(etcd.count("keepalive") == 2)
        report.serving = "a"
        try await fleet.report(report, of: Self.place, isMissing: false)
        #expect(etcd.count("put") == 2)
        etcd.state.withLock { $0.leases = [] }
        try await fleet.report(report, of: Self.place, isMissing: false)
        #expect(etcd.count("put") == 3 && etcd.count("grant") == 2)
        // One that is missing is written again.
        try await fleet.report(report, of: Self.place, isMissing: true)
        #expect(etcd.count("put") == 4 && etcd.count("grant") == 2)
    }

    // MARK: Watches

    /// What a fleet says, as it comes.
    final class Listener: Sendable {
        private let heard = Mutex<[FleetChange]>([])
        let task: Task<Void, Never>

        init(_ fleet: EtcdFleet) {
            let (stream, continuation) = AsyncStream<FleetChange>.makeStream()
            let changes = fleet.changes(for: EtcdFleetTests.place)
            task = Task {
                for await change in changes { continuation.yield(change) }
            }
            Task { for await change in stream { self.heard.withLock { $0.append(change) } } }
        }

        /// Waits until something has been said that is so.
        func hears(_ isSo: (FleetChange) -> Bool) async -> Bool {
            for _ in 0..<3000 {
                if heard.withLock({ $0.contains(where: isSo) }) { return true }
                try? await Task.sleep(for: .milliseconds(20))
            }
            return false
        }

        func forget() { heard.withLock { $0 = [] } }
    }

    private static func isAll(_ change: FleetChange) -> Bool {
        if case .all = change { true } else { false }
    }

    private static func isAway(_ change: FleetChange) -> Bool {
        if case .away = change { true } else { false }
    }

    /// A node's watches leave a member that freezes, and hear what happens at the next.
    @Test func aWatchOnAMemberThatFreezes() async throws {
        let etcd = try FakeEtcd(members: 2)
        defer { etcd.stop() }
        let fleet = try Self.fleet(etcd)
        let listener = Listener(fleet)
        defer { listener.task.cancel() }
        #expect(await listener.hears(Self.isAll))
        let other = try Self.fleet(etcd, ports: [etcd.ports[1]])
        #expect(try await other.change(try await Self.promotion("a", of: other)))
        let hears = await listener.hears {
            if case .put(.current(.fleet), _) = $0 { true } else { false }
        }
        #expect(hears)
        listener.forget()
        etcd.set(.frozen, of: 0)
        #expect(await listener.hears(Self.isAway))
        #expect(await listener.hears(Self.isAll))
        #expect(try await other.change(try await Self.promotion("b", of: other)))
        let hearsMore = await listener.hears {
            if case .put(.current(.fleet), let entry) = $0 {
                entry.text.contains("\"b\"")
            } else {
                false
            }
        }
        #expect(hearsMore)
    }

    /// A member without a leader ends a watch because it is asked to, and tells what it knows only
    /// as that.
    @Test func aMemberWithoutALeader() async throws {
        let etcd = try FakeEtcd(members: 1)
        defer { etcd.stop() }
        let fleet = try Self.fleet(etcd)
        #expect(try await fleet.change(try await Self.promotion("a", of: fleet)))
        etcd.set(.leaderless, of: 0)
        let listener = Listener(fleet)
        defer { listener.task.cancel() }
        let isStale = await listener.hears {
            if case .stale(let entries, _) = $0 { entries[.current(.fleet)] != nil } else { false }
        }
        #expect(isStale)
        #expect(await listener.hears(Self.isAway))
        #expect(etcd.count("watch") == 0)
        etcd.set(.well, of: 0)
        #expect(await listener.hears(Self.isAll))
    }

    /// A watch that begins as the leader goes.
    @Test func aWatchAsksForALeader() async throws {
        let etcd = try FakeEtcd(members: 1)
        defer { etcd.stop() }
        etcd.set(.leaderless, of: 0)
        let address = try #require(EtcdFleet.Address("etcd://127.0.0.1:\(etcd.ports[0])/f"))
        let client = try EtcdClient(address, .init())
        let question = Etcd.Watch(
            create_request: .init(
                key: Etcd.encoded("a"), range_end: Etcd.end(of: "a"), start_revision: "1"))
        await #expect(throws: FleetFailure.unreachable("status 503")) {
            try await client.stream("/v3/watch", question, at: 0) { _ in true }
        }
    }
}

/// The same on a real etcd, where one is installed.
@Suite(
    .enabled(if: RealEtcd.path != nil, "etcd is not installed (Debian: etcd-server)"),
    .timeLimit(.minutes(2)))
struct RealEtcdTests {
    @Test func changesReportsAndWatches() async throws {
        let etcd = try RealEtcd()
        defer { etcd.stop() }
        let address = try #require(EtcdFleet.Address("etcd://127.0.0.1:\(etcd.port)/f"))
        let fleet = try EtcdFleet(address, .init())
        var isUp = false
        for _ in 0..<500 where !isUp {
            isUp = (try? await fleet.read()) != nil
            if !isUp { try await Task.sleep(for: .milliseconds(100)) }
        }
        try #require(isUp)
        let listener = EtcdFleetTests.Listener(fleet)
        defer { listener.task.cancel() }
        #expect(await listener.hears { if case .all = $0 { true } else { false } })
        let first = try await EtcdFleetTests.promotion("a", of: fleet)
        let second = try await EtcdFleetTests.promotion("b", of: fleet)
        #expect(try await fleet.change(first))
        #expect(try await !fleet.change(second))
        let hears = await listener.hears {
            if case .put(.current(.fleet), _) = $0 { true } else { false }
        }
        #expect(hears)
        for _ in 0..<2 {
            try await fleet.report(
                NodeReport(address: "x"), of: EtcdFleetTests.place, isMissing: false)
        }
        let nodes = try await fleet.read().entries.keys.count {
            if case .node = $0 { true } else { false }
        }
        #expect(nodes == 1)
    }
}

/// A process of etcd with a folder of its own.
final class RealEtcd {
    static let path = ["/usr/bin/etcd", "/usr/local/bin/etcd"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    let port = UInt16.random(in: 20_000...29_000)
    private let process = Process()
    private let folder = FileManager.default.temporaryDirectory.appending(
        path: "etcd-\(UInt64.random(in: 0...UInt64.max))")

    init() throws {
        let (client, peer) = ("http://127.0.0.1:\(port)", "http://127.0.0.1:\(port + 1)")
        process.executableURL = URL(filePath: RealEtcd.path ?? "")
        process.arguments = [
            "--data-dir", folder.path, "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=\(peer)",
        ]
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }
}
