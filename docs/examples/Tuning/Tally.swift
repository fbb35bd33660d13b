import Metrics
import Synchronization

/// The smallest metrics system: what has been counted since the last look.
final class Tally: MetricsFactory {
    static let shared = Tally()
    private let counts = Mutex<[String: Int64]>([:])

    private final class Count: CounterHandler {
        let name: String

        init(_ name: String) { self.name = name }

        func increment(by amount: Int64) {
            Tally.shared.counts.withLock { $0[name, default: 0] += amount }
        }

        func reset() { Tally.shared.counts.withLock { $0[name] = nil } }
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        Count(([label] + dimensions.map(\.1)).joined(separator: "."))
    }

    func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler { NOOPMetricsHandler.instance }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        NOOPMetricsHandler.instance
    }

    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}

    /// What there is to say; nil when nothing has happened.
    func line() -> String? {
        let now = counts.withLock { counts in
            defer { counts = [:] }
            return counts.filter { $0.value > 0 }
        }
        guard !now.isEmpty else { return nil }
        return now.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            .joined(separator: "  ")
    }
}
