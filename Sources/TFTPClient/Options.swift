internal import TFTPCore
internal import TFTPReactor
public import TFTPSeal
internal import TFTPServing
internal import TFTPWire

extension TFTPClient {
    /// What a transfer asks for. The defaults suit any server: one that knows no options answers
    /// without, and one that refuses them is asked once more without.
    public struct Options: Sendable {
        /// Bytes in a block (RFC 2348).
        public var blksize = Blksize.automatic
        /// Blocks in a window (RFC 7440), 1...65535; nil for 16, or fewer where the blocks are
        /// large. 1 is not asked for: it is what every server does.
        public var windowsize: UInt16?
        /// Seconds before either end repeats what was not answered, 1...255 (RFC 2349); nil leaves
        /// it to both ends, which measure the round trip and adapt.
        public var timeout: UInt8?
        /// Ask for the size, or tell it (RFC 2349). With it too much, too little and a lack of room
        /// are noticed early.
        public var tsize = true
        /// Where in the file to begin, in bytes, and how many bytes to get from there on; nil: to
        /// the end. A file that ends before has fewer, or none. For getting alone, and in mode
        /// `octet`.
        ///
        /// It takes a server that knows the options `offset` and `length` of Bootstorm's own. Any
        /// other would send the file from its beginning: the transfer fails with
        /// `Failure.rangeIgnored` then, and nothing is delivered. An `offset` beyond the end is
        /// refused with ERROR 8.
        public var offset: UInt64 = 0
        /// See `offset`. `sizeMax` and `sha256` speak of the part.
        public var length: UInt64?
        /// How the bytes stand on the wire.
        public var mode = Mode.octet
        /// Ask for options at all. Without, blocks have 512 bytes and each waits for its ACK.
        public var negotiates = true
        /// How long the server may be silent before the transfer fails with `Failure.timedOut`;
        /// 0.001 to 3600 seconds.
        public var patience = Duration.seconds(10)
        /// How long a put's source may deliver no content before the put fails with
        /// `Failure.sourceStalled`; 0.001 to 3600 seconds, exact to about a second. nil leaves it
        /// to the server to time out: after some seconds for most servers, after a minute or two
        /// for others.
        public var sourcePatience: Duration?
        /// Bytes; a larger file is not taken.
        public var sizeMax = UInt64.max
        /// What the content's SHA-256 must be, 32 bytes; nil does not look. Only for getting.
        public var sha256: [UInt8]?
        /// Keys of a sealed transfer: name and content are encrypted and authenticated, and a
        /// server that does not seal is refused with `Failure.notSealed`. The first key seals the
        /// request.
        public var sealKeys: SealKeys?
        /// Send windows as segmented batches (UDP GSO) where the kernel can.
        public var segmentation = true
        /// Bytes of content a second that the transfer stays below, 1024 at least; nil: as fast as
        /// the path allows. The first half megabyte, which is buffered, is not slowed down.
        public var rateMax: UInt64?
        /// Name of the only network interface that packets leave and arrive by, such as `eth1`;
        /// nil: the one that the routes choose.
        public var interface: String?
        /// Is shown every packet of the transfer, on the client's own thread, which waits
        /// meanwhile: for looking only.
        public var trace: (@Sendable (TracedPacket) -> Void)?

        public init() {}

        /// Bytes in a block.
        public enum Blksize: Hashable, Sendable {
            /// As many as pass the path to the server in one piece, as this host knows it.
            case automatic
            /// 8...65464. 512 is not asked for: it is what every server sends.
            case bytes(UInt16)
        }

        /// How the bytes stand on the wire (RFC 1350 §1).
        public enum Mode: Hashable, Sendable {
            /// As they are.
            case octet
            /// As text with lines that end in CR LF, translated both ways: LF here is CR LF there.
            case netascii
        }
    }
}

extension TFTPClient.Options {
    private static let windowsizeDefault = 16
    /// A window of large blocks is kept to this, so that it fits the receive buffer that anybody
    /// gets.
    private static let windowByteCountDefault = 128 << 10
    private static let patienceMillisecondsMax = 3_600_000.0

    /// Whether a part of a file is asked for.
    var isPartial: Bool { offset > 0 || length != nil }

    /// What is wrong with them, as text; nil when all is well.
    package var problem: String? {
        if case .bytes(let count) = blksize, !Grant.blksizeRange.contains(count) {
            return "blksize is 8 to 65464"
        }
        if windowsize == 0 { return "windowsize is 1 to 65535" }
        if timeout == 0 { return "timeout is 1 to 255 seconds" }
        let patienceRange = 1...Self.patienceMillisecondsMax
        if !patienceRange.contains(patience / .milliseconds(1)) {
            return "patience is 0.001 to 3600 seconds"
        }
        if let sourcePatience, !patienceRange.contains(sourcePatience / .milliseconds(1)) {
            return "sourcePatience is 0.001 to 3600 seconds"
        }
        if let rateMax, rateMax < RateLimit.bytesPerSecondMin {
            return "rateMax is \(RateLimit.bytesPerSecondMin) bytes a second at least"
        }
        if sealKeys != nil {
            if !negotiates {
                return "a sealed transfer is an option, so options have to be asked for"
            }
            if case .bytes(let count) = blksize, count < SealedRequest.blksizeMin {
                return "blksize is \(SealedRequest.blksizeMin) at least where a seal has to go in"
            }
        }
        if isPartial, mode != .octet { return "offset and length are for mode octet" }
        if isPartial, !negotiates {
            return "offset and length are options, and none may be asked for"
        }
        if let sha256, sha256.count != 32 { return "a SHA-256 has 32 bytes" }
        if case .bytes(let count) = blksize, let windowsize,
            max(Int(count), Int(Grant.blksizeDefault)) * Int(windowsize)
                > ClientRequest.windowByteCountMax
        {
            return "blksize × windowsize is 4 MiB at most"
        }
        return nil
    }

    /// What stands in the request.
    ///
    /// - Parameter byteCount: of what is put; nil when it is not known, or when getting.
    func asked(_ opcode: Opcode, of server: Endpoint, byteCount: UInt64?) -> Options {
        var asked = Options()
        guard negotiates else { return asked }
        let blksize = blksizeWanted(server)
        // A sealed request always carries the option, so that an attacker cannot claim another
        // value.
        if blksize != Grant.blksizeDefault || sealKeys != nil { asked.blksize = UInt32(blksize) }
        let windowsize = windowsizeWanted(Int(blksize))
        if windowsize > 1 { asked.windowsize = UInt32(windowsize) }
        if let timeout { asked.timeout = UInt32(timeout) }
        // The size of netascii text on the wire is not known beforehand.
        if tsize, mode == .octet { asked.tsize = opcode == .rrq ? 0 : byteCount }
        if isPartial, opcode == .rrq {
            asked.offset = offset
            asked.length = length
        }
        return asked
    }

    private func blksizeWanted(_ server: Endpoint) -> UInt16 {
        guard case .automatic = blksize else {
            guard case .bytes(let count) = blksize else { return Grant.blksizeDefault }
            return count
        }
        let headers = server.address.isIPv4 ? 28 : 48
        let mtu = pathMTU(to: server.address) ?? 1500
        let fitting = UInt16(clamping: mtu - headers - Packet.headerByteCount)
        return max(Grant.blksizeDefault, min(fitting, Grant.blksizeRange.upperBound))
    }

    private func windowsizeWanted(_ blksize: Int) -> Int {
        let fitting = max(1, ClientRequest.windowByteCountMax / blksize)
        if let windowsize { return min(Int(windowsize), fitting) }
        return max(1, min(Self.windowsizeDefault, Self.windowByteCountDefault / blksize))
    }
}
