internal import TFTPServer

/// What is asked over the control socket: one line of JSON.
struct ControlRequest: Codable {
    /// A `Verb`; text, so that an older server can say that it does not know it.
    var verb: String
    /// `status`: how many running transfers to show.
    var rowsMax: Int?
    /// `trace`: ADDRESS, ADDRESS/BITS or `all`.
    var client: String?

    enum Verb: String {
        case status
        case trace
        case reload
    }
}

/// One line of an answer. Of `trace` there are many, of others one.
struct ControlReply: Codable {
    var status: ServerStatus?
    var packet: TracedDatagram?
    /// A transfer has begun or ended, as the log says it.
    var record: String?
    /// A trace has begun, or lines of it are missing, or a configuration was read.
    var note: String?
    var error: String?
}

/// One datagram of a trace, or a batch of DATA.
struct TracedDatagram: Codable, Equatable {
    /// Since 1970.
    var seconds: Double
    var isOut: Bool
    var client: String
    var server: String
    /// UDP payload, of all datagrams of a batch together.
    var byteCount: Int
    var datagramCount: Int
    /// Of each datagram of a batch but the last.
    var segmentByteCount: Int
    /// The first bytes, in hexadecimal.
    var head: String

    var headBytes: [UInt8] {
        let digits = Array(head.utf8)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap { index in
            UInt8(String(decoding: digits[index...(index + 1)], as: UTF8.self), radix: 16)
        }
    }
}
