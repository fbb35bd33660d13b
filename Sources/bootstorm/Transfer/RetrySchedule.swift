internal import TFTPClient

/// When a transfer that failed is tried again: a value of its own for each transfer.
struct RetrySchedule: Sendable {
    private var left: Int
    private let deadline: ContinuousClock.Instant
    private var pauseSeconds = 1.0

    private static let pauseSecondsMax = 30.0

    /// - Parameters:
    ///   - countMax: repeats of a transfer that timed out or was cut off.
    ///   - waitSeconds: how long the server may give no sign at all.
    init(countMax: Int, waitSeconds: Double) {
        left = countMax
        deadline = .now + .seconds(waitSeconds)
    }

    /// How long to wait before the next attempt; nil when there is none.
    mutating func pause(after error: any Error) -> Duration? {
        guard let failure = error as? TFTPClient.Failure else { return nil }
        switch failure {
        case .timedOut(.request, _), .unreachable(.request), .unknownHost:
            if ContinuousClock.now < deadline { return .seconds(1) }
        case .timedOut, .unreachable, .unacknowledged, .system, .wrongSize: break
        default: return nil
        }
        guard left > 0 else { return nil }
        left -= 1
        defer { pauseSeconds = min(2 * pauseSeconds, RetrySchedule.pauseSecondsMax) }
        return .seconds(pauseSeconds)
    }
}
