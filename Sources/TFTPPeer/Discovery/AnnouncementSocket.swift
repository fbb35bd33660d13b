internal import CLinux
internal import Dispatch
internal import Synchronization
internal import TFTPCore
internal import TFTPReactor

/// Sends and receives announcements on the links of this host.
final class AnnouncementSocket: Sendable {
    /// The multicast groups that nodes announce themselves to. Their datagrams stay on a link: they
    /// leave with a TTL of 1.
    enum Group: CaseIterable {
        /// 239.255.69.69, in the range for a site's own use (RFC 2365 §6.1).
        case ipv4
        /// ff15::6969:6969, a group of a site that is not registered (RFC 4291 §2.7).
        case ipv6

        fileprivate var address: clinux_address {
            switch self {
            case .ipv4: clinux_address(high: 0, low: 0xFFFF_EFFF_4545)
            case .ipv6: clinux_address(high: 0xFF15 << 48, low: 0x6969_6969)
            }
        }
    }

    /// An announcement and its sender.
    struct Heard: Sendable {
        let address: Address
        let text: String
    }

    let heard: AsyncStream<Heard>

    private static let backlogMax = 256
    private static let interfacesMax = 4096
    private let group: Group
    private let descriptor: Int32
    private let port: UInt16
    private let isLoopback: Bool
    private let source: Source
    /// The indexes of the links that are heard. Each is one of the groups that the kernel lets a
    /// socket have (20 of IPv4), whether its link exists or not.
    private let joined = Mutex<Set<UInt32>>([])

    /// - Parameters:
    ///   - port: of UDP, the same for all nodes.
    ///   - isLoopback: within this host instead of on its links.
    /// - Returns: nil if the socket cannot be opened.
    init?(_ group: Group, port: UInt16, isLoopback: Bool) {
        let descriptor = clinux_group_open(group.address, port)
        guard descriptor >= 0 else { return nil }
        self.group = group
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
        hear(interfaces())
    }

    deinit { source.value.cancel() }

    /// Announces `text` from each of this host's addresses that `isAnswered`: others take the
    /// sender's address for that of the server. Links that have come since the last time are heard
    /// from now on, and those that have gone are left.
    ///
    /// - Returns: from how many addresses it went.
    func say(_ text: String, where isAnswered: (Address) -> Bool = { _ in true }) -> Int {
        let bytes = Array(text.utf8)
        var sentCount = 0
        let interfaces = interfaces()
        hear(interfaces)
        for var interface in interfaces {
            guard isAnswered(interface.address.value) else { continue }
            let result = unsafe bytes.withUnsafeBytes {
                unsafe clinux_group_send(
                    descriptor, group.address, port, &interface, $0.baseAddress,
                    UInt32($0.count))
            }
            if result == 0 { sentCount += 1 }
        }
        return sentCount
    }

    /// Listens on the links of `interfaces`, and no longer on those that have gone.
    private func hear(_ interfaces: [clinux_interface]) {
        let present = Set(interfaces.map(\.index))
        joined.withLock { joined in
            for index in joined.subtracting(present) {
                _ = clinux_group_leave(descriptor, group.address, index)
            }
            // Links without multicast are not heard, nor those beyond as many groups as the kernel
            // lets a socket have.
            joined = present.filter { clinux_group_join(descriptor, group.address, $0) == 0 }
        }
    }

    /// This host's addresses of the group's family.
    private func interfaces() -> [clinux_interface] {
        var room = [clinux_interface](
            repeating: clinux_interface(), count: AnnouncementSocket.interfacesMax)
        let count = unsafe room.withUnsafeMutableBufferPointer {
            unsafe clinux_interfaces($0.baseAddress, UInt32($0.count))
        }
        return room.prefix(max(0, Int(count))).filter {
            let address = $0.address.value
            // A link that has just gone has no index.
            return $0.index > 0 && address.isIPv4 == (group == .ipv4)
                && address.isLoopback == isLoopback
        }
    }

    private static func receive(_ descriptor: Int32) -> Heard? {
        var bytes = [UInt8](repeating: 0, count: Announcement.byteCountMax)
        var from = clinux_address()
        let count = unsafe bytes.withUnsafeMutableBytes {
            unsafe clinux_group_receive(descriptor, $0.baseAddress, UInt32($0.count), &from)
        }
        guard count >= 0 else { return nil }
        return Heard(
            address: from.value,
            text: String(decoding: bytes.prefix(Int(count)), as: UTF8.self))
    }
}

extension clinux_address {
    fileprivate var value: Address { Address(high: high, low: low) }
}

/// What dispatch wakes up for; it may be cancelled from any thread, which its declaration does not
/// say.
struct Source: @unchecked Sendable {
    let value: any DispatchSourceRead
}
