internal import Dispatch
internal import Glibc
internal import Synchronization
internal import TFTPReactor

/// Writes log lines to standard error on a thread of its own, so that a full pipe delays only the
/// log.
///
/// Lines wait in a bounded queue. Lines that do not fit are dropped and counted, and the count is
/// written when there is room.
enum LogWriter {
    private static let queueByteCountMax = 1 << 20
    private static let flushPatience = Duration.milliseconds(500)

    private struct State {
        var lines: [String] = []
        var byteCount = 0
        var droppedCount = 0
        var isRunning = false
        var isWriting = false
    }

    private static let state = Mutex(State())
    private static let work = DispatchSemaphore(value: 0)
    private static let idle = DispatchSemaphore(value: 0)

    /// Starts the thread; until then lines are written at once.
    static func start() {
        let isFirst = state.withLock { state in
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard isFirst else { return }
        do {
            try RunningThread("log") { run() }.detach()
        } catch {
            // Lines are written at once, as before.
            state.withLock { $0.isRunning = false }
        }
    }

    static func write(_ line: String) {
        let isRunning = state.withLock { state in
            guard state.isRunning else { return false }
            if state.byteCount + line.utf8.count > queueByteCountMax {
                state.droppedCount += 1
            } else {
                state.lines.append(line)
                state.byteCount += line.utf8.count
            }
            return true
        }
        if isRunning { work.signal() } else { StandardError.write(line) }
    }

    /// Waits until every line is out, half a second at most.
    static func flush() {
        let end = ContinuousClock.now + flushPatience
        while ContinuousClock.now < end {
            let isIdle = state.withLock { !$0.isRunning || ($0.lines.isEmpty && !$0.isWriting) }
            if isIdle { return }
            _ = idle.wait(timeout: .now() + .milliseconds(50))
        }
    }

    private static func run() {
        while true {
            work.wait()
            let (lines, droppedCount) = state.withLock { state in
                defer {
                    state.lines = []
                    state.byteCount = 0
                    state.droppedCount = 0
                    state.isWriting = true
                }
                return (state.lines, state.droppedCount)
            }
            var text = lines.joined()
            if droppedCount > 0 {
                text += "\(droppedCount) log lines dropped: the log writer is too slow\n"
            }
            writeWaiting(text)
            state.withLock { $0.isWriting = false }
            idle.signal()
        }
    }

    /// Writes for as long as it takes.
    private static func writeWaiting(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(STDERR_FILENO, buffer.baseAddress, buffer.count)
            }
            // The reader has closed the pipe.
            guard written > 0 || errno == EINTR || errno == EAGAIN else { return }
            if written < 0 && errno == EAGAIN { waitForRoom() }
            bytes = bytes.dropFirst(max(0, written))
        }
    }

    private static func waitForRoom() {
        var wait = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&wait, 1, -1)
    }
}
