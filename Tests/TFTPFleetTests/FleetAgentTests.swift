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
