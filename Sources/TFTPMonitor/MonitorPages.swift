package import TFTPServer

/// The pages of a server that is watched: metrics and health.
package enum MonitorPages {
    /// What `path` answers; nil for an unknown page.
    ///
    /// - Parameter extras: metrics of other parts of the program.
    package static func answer(
        _ path: String, _ server: TFTPServer, extras: @Sendable () async -> [MetricsPage.Extra]
    ) async -> HTTPListener.Answer? {
        switch path {
        case "/metrics":
            guard let sample = server.metricsSample() else { return notReady }
            return HTTPListener.Answer(
                contentType: "text/plain; version=0.0.4; charset=utf-8",
                body: MetricsPage.text(sample, extras: await extras()))
        // The process answers, whatever it does.
        case "/healthz": return HTTPListener.Answer(body: "ok\n")
        // Requests are answered, and new ones are.
        case "/readyz": return server.isReady ? HTTPListener.Answer(body: "ready\n") : notReady
        default: return nil
        }
    }

    private static let notReady = HTTPListener.Answer(status: 503, body: "not ready\n")
}
