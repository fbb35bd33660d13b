internal import TFTPWire

extension TFTPClient {
    /// A file as it arrives; see `TFTPClient.chunks`.
    ///
    /// Each iteration is a transfer of its own. One that is given up in the middle is cancelled.
    public struct Chunks: AsyncSequence, Sendable {
        /// Some kilobytes up to a few hundred, the next ones in order.
        public typealias Element = [UInt8]

        let client: TFTPClient
        let name: String
        let server: Server
        let options: Options
        let monitor: Monitor?

        public func makeAsyncIterator() -> Iterator { Iterator(self) }

        /// Brings the pieces in order.
        public struct Iterator: AsyncIteratorProtocol {
            private let chunks: Chunks
            private var content: ReceivedContent
            private var exchange: Exchange?
            private var isOver = false

            init(_ chunks: Chunks) {
                self.chunks = chunks
                content = ReceivedContent(chunks.options)
            }

            /// The next piece; nil when the file is complete, and verified where that was wanted.
            public mutating func next() async throws -> [UInt8]? {
                while !isOver {
                    let exchange = try await beginOnce()
                    var bytes: [UInt8] = []
                    do {
                        let summary = try unsafe exchange.takeAll(&content) {
                            unsafe bytes.append(contentsOf: $0)
                        }
                        if let summary {
                            isOver = true
                            _ = exchange.succeed(summary)
                        }
                    } catch {
                        isOver = true
                        self.exchange = nil
                        throw error
                    }
                    if !bytes.isEmpty { return bytes }
                    if !isOver { try await exchange.rest(content) }
                }
                exchange = nil
                return nil
            }

            private mutating func beginOnce() async throws -> Exchange {
                if let exchange { return exchange }
                let new = try await chunks.client.begin(
                    .rrq, chunks.name, chunks.server, chunks.options, byteCount: nil,
                    chunks.monitor)
                exchange = new
                return new
            }
        }
    }
}
