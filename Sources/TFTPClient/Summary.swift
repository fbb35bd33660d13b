internal import TFTPServing
internal import TFTPWire

extension TFTPClient {
    /// What a transfer came to.
    public struct Summary: Hashable, Sendable, CustomStringConvertible {
        /// Bytes of the content on the wire; with netascii as many as the text has there.
        public let byteCount: UInt64
        /// From the request to the last block.
        public let duration: Duration
        /// Bytes in a block; 512 unless another was granted.
        public let blksize: Int
        /// Blocks in a window; 1 unless more were granted.
        public let windowsize: Int
        /// The `timeout` that was granted, in seconds.
        public let timeout: Int?
        /// The size that the server told, or confirmed.
        public let tsize: UInt64?
        /// Where in the file the part begins that was asked for (`Options.offset`); nil of a whole
        /// file. `tsize` is the whole file's size all the same.
        public let offset: UInt64?
        /// How many bytes the part has, where `Options.length` was asked for: fewer than that at
        /// the end of the file.
        public let length: UInt64?
        /// Requests, ACKs and blocks that were sent more than once.
        public let retransmissions: UInt64

        /// `1048576 bytes in 0.012 s, 87.4 MB/s, blksize 1468, windowsize 16`
        public var description: String {
            let seconds = duration / .seconds(1)
            var text = "\(byteCount) bytes in \(decimal(seconds, 3)) s"
            if seconds > 0 { text += ", \(decimal(Double(byteCount) / seconds / 1e6, 1)) MB/s" }
            text += ", blksize \(blksize), windowsize \(windowsize)"
            if let timeout { text += ", timeout \(timeout)" }
            if let offset { text += ", offset \(offset)" }
            if retransmissions > 0 { text += ", \(retransmissions) retransmissions" }
            return text
        }

        init(_ summary: ClientSummary) {
            byteCount = summary.byteCount
            duration = .nanoseconds(Int64(clamping: summary.nanoseconds))
            blksize = Int(summary.blksize)
            windowsize = Int(summary.windowsize)
            timeout = summary.options.timeout.map(Int.init)
            tsize = summary.options.tsize
            offset = summary.options.offset
            length = summary.options.length
            retransmissions = summary.retransmissionCount
        }
    }

    /// A file that was got into memory.
    public struct Download: Hashable, Sendable {
        public let bytes: [UInt8]
        public let summary: Summary
    }
}

/// `value` with this number of decimal places; `-` if it is not finite or does not fit an integer.
private func decimal(_ value: Double, _ digits: Int) -> String {
    var scale = 1
    for _ in 0..<digits { scale *= 10 }
    guard let scaled = Int(exactly: (value * Double(scale)).rounded()) else { return "-" }
    let fraction = String(scaled % scale)
    let padding = String(repeating: "0", count: digits - fraction.count)
    return "\(scaled / scale).\(padding)\(fraction)"
}
