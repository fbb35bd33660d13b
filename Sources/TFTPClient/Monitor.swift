internal import Synchronization
internal import TFTPReactor

extension TFTPClient {
    /// How far a transfer is.
    public struct Progress: Hashable, Sendable {
        /// Bytes that have been received, or acknowledged by the server.
        public let byteCount: UInt64
        /// Bytes that there will be, where that is known.
        public let totalByteCount: UInt64?
        /// Since the transfer began.
        public let elapsed: Duration

        /// On average, from the beginning.
        public var bytesPerSecond: Double {
            let seconds = elapsed / .seconds(1)
            return seconds > 0 ? Double(byteCount) / seconds : 0
        }

        /// The time left at that rate, where the end is known; a hundred years at most, whatever
        /// the server says.
        public var remaining: Duration? {
            guard let totalByteCount, bytesPerSecond > 0 else { return nil }
            let left = totalByteCount - min(byteCount, totalByteCount)
            return .seconds(min(Double(left) / bytesPerSecond, Progress.secondsMax))
        }

        private static let secondsMax = 100 * 365.25 * 86_400
    }

    /// Shows the progress of one transfer, as an `AsyncSequence` that ends with it.
    ///
    ///     let monitor = TFTPClient.Monitor()
    ///     async let summary = client.get("image", from: server, to: "/tmp/i", monitor: monitor)
    ///     for await progress in monitor { print(progress.byteCount) }
    ///     print(try await summary)
    ///
    /// It looks at intervals, so it costs the transfer nothing. For one transfer only: make another
    /// for the next.
    public final class Monitor: AsyncSequence, Sendable {
        public typealias Element = Progress
        public typealias Failure = Never

        private let interval: Duration
        private let state = Mutex(State())

        private struct State {
            var transfer: ClientTransfer?
            var totalByteCount: UInt64?
            var startedAt = ContinuousClock.now
            var hasEnded = false
            var summary: Summary?
            var usedStream: UsedStream?
        }

        /// - Parameter interval: between two looks.
        public init(interval: Duration = .milliseconds(100)) { self.interval = interval }

        /// What the transfer came to; nil before it has succeeded.
        public var summary: Summary? { state.withLock { $0.summary } }

        /// How far it is now; nil before it has begun.
        public var progress: Progress? {
            state.withLock { state in
                guard let transfer = state.transfer else { return nil }
                return Progress(
                    byteCount: transfer.transferredByteCount,
                    totalByteCount: state.totalByteCount ?? transfer.announcedByteCount,
                    elapsed: ContinuousClock.now - state.startedAt)
            }
        }

        public func makeAsyncIterator() -> Iterator { Iterator(monitor: self) }

        /// Looks at intervals, and once more at the end.
        public struct Iterator: AsyncIteratorProtocol {
            fileprivate let monitor: Monitor
            private var isOver = false

            fileprivate init(monitor: Monitor) { self.monitor = monitor }

            public mutating func next() async -> Progress? {
                while !isOver {
                    let hasEnded = monitor.state.withLock { $0.hasEnded }
                    isOver = hasEnded || Task.isCancelled
                    if !isOver { try? await Task.sleep(for: monitor.interval) }
                    if let progress = monitor.progress { return progress }
                }
                return nil
            }
        }

        /// Content that is gone once it has been read or written, as of a pipe.
        package enum UsedStream: Sendable {
            case input
            case output
        }

        /// Which stream the transfer has read from or written to; nil for none, and then it can be
        /// repeated from the beginning.
        package var usedStream: UsedStream? { state.withLock { $0.usedStream } }

        func note(_ stream: UsedStream) { state.withLock { $0.usedStream = stream } }

        func begin(_ transfer: ClientTransfer, totalByteCount: UInt64?) {
            state.withLock { state in
                precondition(state.transfer == nil, "a monitor is for one transfer")
                state.transfer = transfer
                state.totalByteCount = totalByteCount
                state.startedAt = .now
            }
        }

        func end(_ summary: Summary?) {
            state.withLock { state in
                state.hasEnded = true
                state.summary = state.summary ?? summary
            }
        }
    }
}
