import TFTPWire

@testable import TFTPCore

/// A server as RFC 1350 and 7440 suggest it to an author without boot clients: it answers every
/// packet at once, by its content alone.
final class NaiveServer: BootServer {
    private let served: BootCase
    private let habits: Habits
    private(set) var log: [String] = []
    private(set) var blocks: [UInt64] = []
    private(set) var outcome: String?
    private(set) var sessionCount = 1
    let local = Address.unspecified
    private var acked: UInt64 = 0
    private var isStarted = false
    private var now: UInt64 = 0
    private var sentAt: UInt64 = 0
    private var retryCount = 0

    struct Habits {
        /// The fixed time-out in milliseconds, and how often it is tried.
        var timeout: UInt64 = 5000
        var retriesMax = 3
        /// An ERROR ends the transfer; else it is ignored.
        var endsAtError = true
        /// A file that fills its blocks ends with a full one.
        var forgetsEmptyBlock = false
    }

    init(_ served: BootCase, _ habits: Habits = Habits()) {
        self.served = served
        self.habits = habits
        answer()
    }

    private var last: UInt64 {
        let blksize = UInt64(served.blksize)
        let full = served.byteCount / blksize
        return habits.forgetsEmptyBlock && served.byteCount % blksize == 0 ? full : full + 1
    }

    private func answer() {
        sentAt = now
        guard isStarted || !served.hasOptions else {
            log.append("OACK")
            return
        }
        let end = min(last, acked + UInt64(served.windowsize))
        log.append(end == acked + 1 ? "DATA \(end)" : "DATA \(acked + 1)-\(end)")
        blocks += (acked + 1)...end
    }

    func ack(_ block: UInt64) {
        guard outcome == nil else { return }
        isStarted = true
        acked = block
        retryCount = 0
        guard acked < last else {
            outcome = "done"
            sessionCount = 0
            return
        }
        answer()
    }

    func ackFromStranger(_ block: UInt64) { ack(block) }

    func error(_ code: ErrorCode, isWrongBlock: Bool) {
        guard habits.endsAtError else { return }
        outcome = "aborted"
        sessionCount = 0
    }

    /// Another transfer for every request; and a client that is at work already gets its OACK
    /// again.
    func requestAgain() {
        sessionCount += 1
        let wasStarted = isStarted
        if !wasStarted || acked == 0 { isStarted = false }
        answer()
        isStarted = wasStarted
    }

    func wait(_ milliseconds: UInt64) {
        let end = now + milliseconds
        while outcome == nil, sentAt + habits.timeout <= end {
            now = sentAt + habits.timeout
            retryCount += 1
            guard retryCount <= habits.retriesMax else {
                outcome = "timedOut"
                sessionCount = 0
                break
            }
            answer()
        }
        now = end
    }

    func forget() {
        log = []
        blocks = []
    }
}
