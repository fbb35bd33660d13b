import Simulation
import TFTPCore
import Testing

@testable import TFTPStore

/// Which client gets which snapshot, with a clock of the test.
struct SnapshotLeasesTests {
    private static func address(_ number: Int) -> Address {
        Address(ipv4: 0x0A00_0000 + UInt32(number))
    }

    /// A table, and what must be true of it whatever is asked: it remembers every answer.
    private final class World {
        var table: SnapshotLeases
        var now: UInt64 = 1
        var current = 0
        var answers: [Int: (snapshot: Int, at: UInt64)] = [:]
        var violations: [String] = []
        /// How often the promise was what decided.
        var oldCount = 0
        var newCount = 0

        init(hold: UInt64 = 10, capacity: Int, snapshotsMax: Int = 64) {
            table = SnapshotLeases(
                nanoseconds: hold, capacity: capacity, snapshotsMax: snapshotsMax)
        }

        @discardableResult
        func ask(_ client: Int) -> Int {
            let address = SnapshotLeasesTests.address(client)
            let renewed = table.renew(address, now: now)
            let snapshot = renewed ?? current
            if renewed == nil { table.take(current, for: address, now: now) }
            if let last = answers[client], now - last.at < table.nanoseconds,
                last.snapshot != snapshot
            {
                violations.append("\(client) had \(last.snapshot) and gets \(snapshot) at \(now)")
            }
            if snapshot == current { newCount += 1 } else { oldCount += 1 }
            answers[client] = (snapshot, now)
            if table.count > table.capacity { violations.append("more than there is room for") }
            for (_, answer) in answers
            where now - answer.at < table.nanoseconds && table.holderCount(of: answer.snapshot) == 0
            {
                violations.append("\(answer.snapshot) has a lease, and counts as free")
            }
            return snapshot
        }
    }

    @Test func keepsTheFirstUntilSilent() {
        let world = World(capacity: 4)
        #expect(world.ask(1) == 0)
        world.current = 1
        for _ in 0..<5 {
            world.now += 9
            #expect(world.ask(1) == 0, "each request renews")
        }
        #expect(world.ask(2) == 1)
        world.now += 10
        #expect(world.ask(1) == 1, "as long as a hold is over")
        #expect(world.table.holderCount(of: 0) == 0)
    }

    @Test func lastMomentOfAHold() {
        let world = World(capacity: 4)
        world.ask(1)
        world.current = 1
        world.now += 9
        #expect(world.ask(1) == 0)
        world.now += 10
        #expect(world.ask(1) == 1)
    }

    @Test func countsHolders() {
        let world = World(capacity: 4)
        (1...3).forEach { world.ask($0) }
        #expect(world.table.holderCount(of: 0) == 3)
        world.now += 10
        world.table.expire(now: world.now, max: 2)
        #expect(world.table.holderCount(of: 0) == 1)
        world.table.expire(now: world.now, max: 2)
        #expect(world.table.holderCount(of: 0) == 0)
        #expect(world.table.count == 0)
    }

    @Test func makesRoomByWhatHasRunOut() {
        let world = World(capacity: 2)
        world.ask(1)
        world.ask(2)
        world.now += 10
        world.current = 1
        #expect(world.ask(3) == 1)
        #expect(world.ask(4) == 1)
        #expect(world.table.holderCount(of: 0) == 0)
        #expect(world.table.holderCount(of: 1) == 2)
    }

    /// When all places are live, newcomers share a hold, which keeps its snapshot as long as any of
    /// them asks.
    @Test func aFullTableKeepsTheCrowdTogether() {
        let world = World(capacity: 2)
        world.ask(1)
        world.ask(2)
        world.current = 1
        #expect(world.ask(3) == 1)
        world.current = 2
        #expect(world.ask(4) == 1, "the crowd has begun with 1")
        world.now += 9
        #expect(world.ask(3) == 1)
        world.now += 5
        // There is room again, and the crowd is live: a new client may have been part of it.
        #expect(world.ask(4) == 1)
        #expect(world.ask(5) == 1)
        world.now += 10
        #expect(world.ask(6) == 2)
        #expect(world.violations.isEmpty)
    }

    /// Every order of requests of three clients, switches and steps of time, in tables of one and
    /// two places.
    @Test(arguments: [1, 2]) func everySmallWorld(capacity: Int) {
        let depth = 6
        let choices = 5
        var (oldCount, worldCount) = (0, 0)
        var total = 1
        for _ in 0..<depth { total *= choices }
        for number in 0..<total {
            let world = World(hold: 3, capacity: capacity)
            var rest = number
            for _ in 0..<depth {
                switch rest % choices {
                case 3: world.current += 1
                case 4: world.now += 2
                case let client: world.ask(client)
                }
                rest /= choices
            }
            #expect(world.violations.isEmpty, "world \(number): \(world.violations)")
            oldCount += world.oldCount
            worldCount += 1
        }
        #expect(worldCount == 15_625)
        #expect(oldCount > 1000, "the promise was what decided, often enough")
    }

    @Test(arguments: 0..<20) func seeded(seed: Int) {
        var random = SimulationRandom(seed: UInt64(seed))
        let world = World(hold: 50, capacity: 1 + seed, snapshotsMax: 4096)
        for _ in 0..<3000 {
            switch random.next() % 100 {
            case 0: world.current = (world.current + 1) % 4096
            case 1 where world.current > 0: world.current -= 1
            case 2...20: world.now += random.next() % 20
            case 21: world.now += 200
            case 22: world.table.expire(now: world.now, max: Int(random.next() % 4))
            default: world.ask(Int(random.next() % 40))
            }
        }
        #expect(world.violations.isEmpty, "\(world.violations.prefix(3))")
        #expect(world.oldCount > 100)
        #expect(world.newCount > 100)
        world.now += 50
        world.table.expire(now: world.now, max: .max)
        #expect(world.table.count == 0)
        #expect((0..<4096).allSatisfy { world.table.holderCount(of: $0) == 0 })
    }
}

/// Names, and which snapshot they are for.
struct SnapshotLayoutTests {
    private static func choice(_ name: String) throws -> SnapshotChoice {
        SnapshotChoice(try FileName(normalising: Array(name.utf8).span.bytes))
    }

    @Test func names() {
        for name in [
            "1", "a", "2026-11-29", "20261129T080500Z-2", "v1.0+rc_1",
            String(repeating: "x", count: 100),
        ] {
            #expect(SnapshotLayout.isName(name), "\(name)")
        }
        for name in [
            "", ".", "..", ".a", "-a", "_a", "a/b", "a b", "ä", "a\0",
            String(repeating: "x", count: 101),
        ] {
            #expect(!SnapshotLayout.isName(name), "\(name)")
        }
    }

    @Test func links() {
        #expect(SnapshotLayout.name(linked: "sets/a") == "a")
        for target in [
            "", "sets", "sets/", "sets/a/", "sets/.a", "/sets/a", "../sets/a", "sets//a", "set/a",
            "sets/a/b",
        ] {
            #expect(SnapshotLayout.name(linked: target) == nil, "\(target)")
        }
    }

    @Test func choices() throws {
        #expect(try Self.choice("boot/vmlinuz") == .held)
        #expect(try Self.choice("/sets/a/boot/vmlinuz") == .named("a", byteCount: 7))
        #expect(try Self.choice("sets/../x") == .named("..", byteCount: 8))
        #expect(try Self.choice("sets/a") == .held)
        #expect(try Self.choice("sets") == .held)
        #expect(try Self.choice("setsx/a/b") == .held)
        #expect(try Self.choice(".bootstorm/offer/x") == .current)
        let name = try FileName(normalising: Array("sets/a/boot/x".utf8).span.bytes)
        #expect(name.dropping(7) == (try FileName(normalising: Array("boot/x".utf8).span.bytes)))
        #expect(name.dropping(0) == name)
    }
}
