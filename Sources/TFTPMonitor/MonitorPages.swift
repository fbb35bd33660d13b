internal import Dispatch
package import TFTPServer

/// The pages of a server that is watched: metrics and health.
package actor MonitorPages {
    /// Metrics of other parts of the program.
    package typealias Extras = @Sendable () async -> [MetricsPage.Extra]

    private let server: TFTPServer
    private let extras: Extras
    /// A sample waits for the shards: not on a thread of Swift's pool.
    private let sampling = DispatchQueue(label: "bootstorm.metrics")
    private var page: (answer: HTTPListener.Answer, madeAt: ContinuousClock.Instant)?
    private var making: Task<HTTPListener.Answer, Never>?

    /// Readers that come within this time get the same page: no number of them costs the shards
    /// more than ten samples a second.
    private static let pageLife = Duration.milliseconds(100)

    package init(_ server: TFTPServer, extras: @escaping Extras = { [] }) {
        self.server = server
        self.extras = extras
    }

    /// What `path` answers; nil for an unknown page.
    package func answer(_ path: String) async -> HTTPListener.Answer? {
        switch path {
        case "/metrics": await metrics()
        // The process answers, whatever it does.
        case "/healthz": HTTPListener.Answer(body: "ok\n")
        // Requests are answered, and new ones are.
        case "/readyz":
            server.isReady ? HTTPListener.Answer(body: "ready\n") : MonitorPages.notReady
        default: nil
        }
    }

    private func metrics() async -> HTTPListener.Answer {
        if let page, server.isReady, page.madeAt.duration(to: .now) < MonitorPages.pageLife {
            return page.answer
        }
        if let making { return await making.value }
        let task = Task { await make() }
        making = task
        let answer = await task.value
        making = nil
        page = (answer, .now)
        return answer
    }

    private func make() async -> HTTPListener.Answer {
        let sample = await withCheckedContinuation { continuation in
            sampling.async { [server] in continuation.resume(returning: server.metricsSample()) }
        }
        guard let sample else { return MonitorPages.notReady }
        return HTTPListener.Answer(
            contentType: "text/plain; version=0.0.4; charset=utf-8",
            body: MetricsPage.text(sample, extras: await extras()))
    }

    private static let notReady = HTTPListener.Answer(status: 503, body: "not ready\n")
}
