import Synchronization

@testable import TFTPFleet

/// An engine in memory that can be gone, late to watchers, wiped or restored.
final class SimulatedFleet: FleetEngine {
    private struct State {
        var entries: [FleetKey: FleetView.Entry] = [:]
        var revision: Int64 = 0
        var isGone = false
        var watchers: [Int: AsyncStream<FleetChange>.Continuation] = [:]
        var watcherCount = 0
        var reports: [String: NodeReport] = [:]
    }

    private let state = Mutex(State())

    var reports: [String: NodeReport] { state.withLock { $0.reports } }

    func changes(for place: FleetPlace) -> AsyncStream<FleetChange> {
        let (stream, continuation) = AsyncStream<FleetChange>.makeStream()
        state.withLock { state in
            state.watcherCount += 1
            state.watchers[state.watcherCount] = continuation
            continuation.yield(
                state.isGone ? .away("gone") : .all(state.entries, state.revision))
        }
        return stream
    }

    func report(
        _ report: NodeReport, of place: FleetPlace, isMissing: Bool
    ) throws(FleetFailure) {
        let isGone = state.withLock { state in
            guard !state.isGone else { return true }
            // As an engine does, it is said again only if it has changed.
            guard isMissing || state.reports[place.node] != report else { return false }
            state.reports[place.node] = report
            state.revision += 1
            let text = FleetValue.text(report)
            let entry = FleetView.Entry(text: text, revision: state.revision)
            state.entries[place.key] = entry
            for watcher in state.watchers.values { watcher.yield(.put(place.key, entry)) }
            return false
        }
        if isGone { throw .unreachable("gone") }
    }

    func read() throws(FleetFailure) -> (entries: [FleetKey: FleetView.Entry], revision: Int64) {
        let read = state.withLock { $0.isGone ? nil : ($0.entries, $0.revision) }
        guard let read else { throw .unreachable("gone") }
        return read
    }

    func change(_ change: GuardedChange) throws(FleetFailure) -> Bool {
        let isDone = state.withLock { state -> Bool? in
            guard !state.isGone else { return nil }
            for (key, revision) in change.compares
            where (state.entries[key]?.revision ?? 0) != revision {
                return false
            }
            state.revision += 1
            for (key, text) in change.puts {
                let entry = FleetView.Entry(text: text, revision: state.revision)
                state.entries[key] = entry
                for watcher in state.watchers.values { watcher.yield(.put(key, entry)) }
            }
            for key in change.deletes {
                state.entries[key] = nil
                for watcher in state.watchers.values { watcher.yield(.gone(key, state.revision)) }
            }
            return true
        }
        guard let isDone else { throw .unreachable("gone") }
        return isDone
    }

    /// The engine goes, or comes back.
    func setGone(_ isGone: Bool) {
        state.withLock { state in
            state.isGone = isGone
            for watcher in state.watchers.values {
                watcher.yield(isGone ? .away("gone") : .all(state.entries, state.revision))
            }
        }
    }
}
