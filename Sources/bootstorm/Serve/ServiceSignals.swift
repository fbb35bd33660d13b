internal import CLinux
internal import FoundationEssentials
internal import Glibc
internal import TFTPReactor

/// What the process is told from outside.
enum ServiceEvent: Sendable {
    /// SIGTERM or SIGINT.
    case stopSignal
    /// The main process was told to stop; it may say so more than once.
    case stopMessage
    case reload
    /// SIGUSR1
    case report
    /// SIGUSR2
    case toggleDebug
}

/// Signals, and messages of the main process, as events.
///
/// Made before the process has other threads: they inherit that the signals are blocked, so none of
/// them ends the process.
struct ServiceSignals {
    let events: AsyncStream<ServiceEvent>
    private let continuation: AsyncStream<ServiceEvent>.Continuation

    private static let numbers = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2]
    /// Those that end a process unless it handles them, and must not end a server that starts.
    private static let words = [SIGHUP, SIGUSR1, SIGUSR2]

    /// Makes signals that tell a server something wait, from the process's beginning on.
    static func hold() {
        unsafe words.withUnsafeBufferPointer { words in
            unsafe clinux_signals_block(words.baseAddress, UInt32(words.count))
        }
    }

    /// Undoes `hold` in a process that is no server: what came meanwhile has its usual effect.
    static func release() {
        unsafe words.withUnsafeBufferPointer { words in
            unsafe clinux_signals_unblock(words.baseAddress, UInt32(words.count))
        }
    }

    init() {
        (events, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(64))
        unsafe ServiceSignals.numbers.withUnsafeBufferPointer { numbers in
            unsafe clinux_signals_block(numbers.baseAddress, UInt32(numbers.count))
        }
    }

    /// Starts the threads that wait.
    ///
    /// - Parameter mainFile: the socket to the main process, or -1.
    func start(mainFile: Int32) throws {
        try RunningThread("signals") { [continuation] in
            while true { continuation.yield(ServiceSignals.waitForSignal()) }
        }.detach()
        guard mainFile >= 0 else { return }
        try RunningThread("main") { [continuation] in
            // A main process that has ended was stopped by force: its place is needed.
            while clinux_main_receive(mainFile) != 0 { continuation.yield(.stopMessage) }
            continuation.yield(.stopMessage)
        }.detach()
    }

    private static func waitForSignal() -> ServiceEvent {
        let number = unsafe numbers.withUnsafeBufferPointer { numbers in
            unsafe clinux_signals_wait(numbers.baseAddress, UInt32(numbers.count))
        }
        switch number {
        case SIGHUP: return .reload
        case SIGUSR1: return .report
        case SIGUSR2: return .toggleDebug
        default: return .stopSignal
        }
    }
}
