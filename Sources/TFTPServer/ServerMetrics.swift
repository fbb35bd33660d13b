internal import CoreMetrics
package import TFTPCore
internal import TFTPMetrics
internal import TFTPReactor
internal import TFTPServing
internal import TFTPWire

/// What a server measures, for swift-metrics. Fed by the reporter from records and counters, never
/// by a shard.
///
/// Labels: `client` is the kind of client that the request looks like; `direction` is `read` or
/// `write`; `outcome` is `done`, `refused`, `timed out` and so on, with underscores.
struct ServerMetrics: Sendable {
    /// Of one direction.
    private struct Way: Sendable {
        let requests: CoreMetrics.Counter
        /// By `Outcome.rawValue`.
        let transfers: [CoreMetrics.Counter]
        let bytes: CoreMetrics.Counter
        let retransmissions: CoreMetrics.Counter
        let duration: CoreMetrics.Timer

        init(_ direction: String, _ factory: any MetricsFactory) {
            let way = [("direction", direction)]
            requests = .init(label: "tftp.requests", dimensions: way, factory: factory)
            transfers = Outcome.allCases.map { outcome in
                .init(
                    label: "tftp.transfers",
                    dimensions: way + [("outcome", outcome.label)], factory: factory)
            }
            bytes = .init(label: "tftp.bytes", dimensions: way, factory: factory)
            retransmissions = .init(
                label: "tftp.retransmissions", dimensions: way, factory: factory)
            duration = .init(
                label: "tftp.transfer.duration", dimensions: way, factory: factory)
        }
    }

    private let read: Way
    private let write: Way
    private let active: CoreMetrics.Gauge
    /// Requests by `Fingerprint.rawValue`.
    private let clients: [CoreMetrics.Counter]

    init(_ factory: any MetricsFactory) {
        read = Way("read", factory)
        write = Way("write", factory)
        active = .init(label: "tftp.transfers.active", dimensions: [], factory: factory)
        clients = Fingerprint.allCases.map { kind in
            .init(label: "tftp.clients", dimensions: [("client", "\(kind)")], factory: factory)
        }
    }

    func count(_ record: TransferRecord) {
        let way = record.isUpload ? write : read
        way.requests.increment()
        clients[Int(record.fingerprint.rawValue)].increment()
        way.transfers[Int(record.outcome.rawValue)].increment()
        guard record.outcome != .refused else { return }
        way.bytes.increment(by: record.byteCount)
        way.retransmissions.increment(by: record.retransmissionCount)
        way.duration.recordMilliseconds(Int64(record.milliseconds))
    }

    func sample(_ reactor: Reactor) { active.record(reactor.activeCount) }
}

extension Outcome {
    /// For metrics and JSON: lower case, words joined by `_`.
    package var label: String {
        switch self {
        case .done: "done"
        case .doneUnacknowledged: "done_unacknowledged"
        case .probe: "probe"
        case .aborted: "aborted"
        case .timedOut: "timed_out"
        case .refused: "refused"
        case .failed: "failed"
        case .replaced: "replaced"
        case .ghost: "ghost"
        case .cutOff: "cut_off"
        }
    }
}
