internal import CLinux
internal import Dispatch
internal import TFTPCore
internal import TFTPReactor

/// Sends and receives announcements on every link of this host (IPv4 multicast, 239.255.69.69, in
/// the range that RFC 2365 has for a site's own use).
final class AnnouncementSocket: Sendable {
    /// An announcement and its sender.
    struct Heard: Sendable {
        let address: Address
        let text: String
    }

    let heard: AsyncStream<Heard>

    private static let group = "239.255.69.69"
    private static let backlogMax = 256
    private let descriptor: Int32
    private let port: UInt16
    private let isLoopback: Bool
    private let source: Source

    /// - Parameters:
    ///   - port: of UDP, the same for all nodes.
    ///   - isLoopback: within this host instead of on its links.
    /// - Returns: nil if the socket cannot be opened.
    init?(port: UInt16, isLoopback: Bool) {
        let descriptor = unsafe AnnouncementSocket.group.withCString {
            unsafe clinux_group_open($0, port, isLoopback)
        }
        guard descriptor >= 0 else { return nil }
        self.descriptor = descriptor
        self.port = port
        self.isLoopback = isLoopback
        let (stream, continuation) = AsyncStream<Heard>.makeStream(
            bufferingPolicy: .bufferingOldest(AnnouncementSocket.backlogMax))
        heard = stream
        let source = DispatchSource.makeReadSource(
            fileDescriptor: descriptor, queue: DispatchQueue(label: "announcements"))
        source.setEventHandler {
            while let heard = AnnouncementSocket.receive(descriptor) { continuation.yield(heard) }
        }
        source.setCancelHandler {
            clinux_close(descriptor)
            continuation.finish()
        }
        source.resume()
        self.source = Source(value: source)
    }

    deinit { source.value.cancel() }

    /// Returns on how many links it has been said.
    func say(_ text: String) -> Int {
        let bytes = Array(text.utf8)
        let sent = unsafe AnnouncementSocket.group.withCString { group in
            unsafe bytes.withUnsafeBytes {
                unsafe clinux_group_send(
                    descriptor, group, port, isLoopback, $0.baseAddress, UInt32($0.count))
            }
        }
        return Int(sent)
    }

    private static func receive(_ descriptor: Int32) -> Heard? {
        var bytes = [UInt8](repeating: 0, count: Announcement.byteCountMax)
        var from = clinux_address()
        let count = unsafe bytes.withUnsafeMutableBytes {
            unsafe clinux_group_receive(descriptor, $0.baseAddress, UInt32($0.count), &from)
        }
        guard count >= 0 else { return nil }
        return Heard(
            address: Address(high: from.high, low: from.low),
            text: String(decoding: bytes.prefix(Int(count)), as: UTF8.self))
    }
}

/// What dispatch wakes up for; it may be cancelled from any thread, which its declaration does not
/// say.
struct Source: @unchecked Sendable {
    let value: any DispatchSourceRead
}
