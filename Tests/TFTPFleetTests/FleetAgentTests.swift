import Foundation
import Logging
import Synchronization
import Testing

@testable import TFTPFleet

/// Agents on a simulated engine: what a node serves, whatever happens to the engine.
@Suite(.timeLimit(.minutes(1))) struct FleetAgentTests {
    /// A node's tree in memory.
    final class Tree: Sendable {
        private let state: Mutex<(sets: Set<String>, current: String?)>

        init(_ sets: Set<String>) { state = Mutex((sets, nil)) }

        var current: String? { state.withLock { $0.current } }

        func insert(_ set: String) { state.withLock { _ = $0.sets.insert(set) } }

        func serve(_ set: String) -> Bool {
            state.withLock { state in
                guard state.sets.contains(set) else { return false }
                state.current = set
                return true
            }
        }

        var actions: FleetAgent.Actions {
            FleetAgent.Actions(
                serve: { self.serve($0) }, serving: { self.current },
                ready: { self.state.withLock { $0.sets.sorted() } }, bring: { self.insert($0) })
        }
    }

    static func promote(_ set: String, _ seconds: Int, _ engine: SimulatedFleet) throws {
        let change = try Promotion.promote(
            set, to: .fleet, by: "me", at: seconds, reason: nil, atLeast: 0,
            in: try engine.read().entries)
        #expect(try engine.change(change))
    }

    static func wait(_ condition: () -> Bool) async -> Bool {
        for _ in 0..<1000 {
            if condition() { return true }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return false
    }

    /// A node whose key goes registers again, and one whose name another node takes says so.
    @Test func aRegistrationThatGoes() async throws {
        let engine = SimulatedFleet()
        let lines = Mutex<[String]>([])
        let logger = Logger(label: "fleet") { _ in
            LineHandler { line in lines.withLock { $0.append(line) } }
        }
        let file = FileManager.default.temporaryDirectory.appending(
            path: "fleet-\(UInt64.random(in: 0...UInt64.max))")
        let place = FleetPlace(fleet: "f", hall: "h", rack: "r", node: "n")
        let agent = FleetAgent(
            engine, place: place, address: "x", file: file.path, actions: Tree([]).actions,
            logger: logger)
        let task = Task { await agent.run() }
        defer { task.cancel() }
        func isRegistered() -> Bool {
            (try? engine.read().entries[place.key]?.text.contains("\"x\"")) == true
        }
        #expect(await Self.wait(isRegistered))
        var deletion = GuardedChange()
        deletion.deletes = [place.key]
        #expect(try engine.change(deletion))
        #expect(await Self.wait(isRegistered))
        #expect(lines.withLock { $0.isEmpty })
        var other = NodeReport(address: "y")
        other.process = "other"
        var clash = GuardedChange()
        clash.puts[place.key] = FleetValue.text(other)
        #expect(try engine.change(clash))
        #expect(
            await Self.wait {
                lines.withLock { $0.contains { $0.contains("another node, at y,") } }
            })
        // When the other one ends, this one is there again.
        #expect(try engine.change(deletion))
        #expect(await Self.wait(isRegistered))
        #expect(lines.withLock { $0.count } == 1)
    }

    /// Hands on what is logged as a warning or worse.
    private struct LineHandler: LogHandler {
        let write: @Sendable (String) -> Void
        var logLevel = Logger.Level.warning
        var metadata: Logger.Metadata = [:]

        init(write: @escaping @Sendable (String) -> Void) { self.write = write }

        subscript(metadataKey key: String) -> Logger.MetadataValue? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { write("\(event.message)") }
    }

    /// A restart of a node is not a clash: it is the same host and address.
    @Test(arguments: [
        ("x", "b", "p", false), ("x", "b", "q", false), ("y", "b", "q", true),
        ("x", "c", "q", true), ("y", "c", nil, false),
    ])
    func whatAClashIs(address: String, boot: String, process: String?, isClash: Bool) {
        var mine = NodeReport(address: "x")
        (mine.boot, mine.process) = ("b", "p")
        var other = NodeReport(address: address)
        (other.boot, other.process) = (boot, process)
        #expect(mine.clashes(with: other) == isClash)
    }

    @Test func nodesFollow() async throws {
        let engine = SimulatedFleet()
        let logger = Logger(label: "fleet") { _ in SwiftLogNoOpLogHandler() }
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "fleet-\(UInt64.random(in: 0...UInt64.max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let trees = (0..<12).map { _ in Tree(["a"]) }
        func agent(_ index: Int, _ tree: Tree) -> FleetAgent {
            FleetAgent(
                engine,
                place: FleetPlace(fleet: "f", hall: "h", rack: "r", node: "n\(index)"),
                address: "x", file: folder.appending(path: "n\(index)").path,
                actions: tree.actions, logger: logger)
        }
        let tasks = trees.enumerated().map { index, tree in
            let agent = agent(index, tree)
            return Task { await agent.run() }
        }
        defer { for task in tasks { task.cancel() } }
        try Self.promote("a", 1, engine)
        #expect(await Self.wait { trees.allSatisfy { $0.current == "a" } })
        // A set that is not here yet is brought first.
        try Self.promote("b", 2, engine)
        #expect(await Self.wait { trees.allSatisfy { $0.current == "b" } })
        #expect(await Self.wait { engine.reports.values.count { $0.serving == "b" } == 12 })
        // A node that starts while the engine is gone serves what it was told last.
        engine.setGone(true)
        let restarted = Tree(["a", "b"])
        let late = agent(0, restarted)
        let task = Task { await late.run() }
        defer { task.cancel() }
        #expect(await Self.wait { restarted.current == "b" })
        #expect(trees.allSatisfy { $0.current == "b" })
    }
}
