internal import TFTPCore
internal import TFTPShard

extension TFTPServer {
    /// How a server is to run. Everything but the folder has a default that suits a netboot server.
    public struct Configuration: Sendable {
        /// The folder that is served. Nothing outside of it is ever read or written, whatever a client asks for.
        public var root: String
        /// Where to answer. Default: port 69 of every address.
        public var listen: [ListenAddress] = []
        /// Threads that serve; nil takes one for each core this process may use.
        public var shards: Int?
        /// What clients may write.
        public var upload = Upload.deny
        /// Bytes; a longer upload is refused with ERROR 3.
        public var uploadSizeMax: UInt64 = 1 << 40
        /// Answer from the port that was asked instead of a fresh one (RFC 1350 §4), for firewalls that expect it.
        public var singlePort = false
        /// The ports that answers may come from; nil leaves it to the system.
        public var ports: ClosedRange<UInt16>?
        /// The largest blksize granted, 8...65464 (RFC 2348). The link's MTU lowers it further.
        public var blksizeMax: UInt16 = 65464
        /// The largest windowsize granted, 1...65535 (RFC 7440). 65535 is granted as 65534, and a window is at most 4 MiB.
        public var windowsizeMax: UInt16 = 65535
        /// Bytes of memory for file content, at least 16 MiB; touched as it is used.
        public var cacheSize = ReactorConfiguration.cacheByteCountDefault
        /// Transfers at once; one more is answered with ERROR 0 "busy".
        public var transfersMax = 65_536
        /// How long a handler may take until there is something to send, at most a minute. Then the client gets ERROR 0, and
        /// the handler is cancelled.
        public var handlerTimeout = Duration.seconds(10)
        /// Requests that handlers work on at once, 1...65536; one more is answered with ERROR 0 "busy". A handler that goes
        /// on although it was cancelled counts.
        public var handlersMax = 4096
        /// Send windows as segmented trains (UDP GSO) where the kernel can.
        public var segmentation = true
        /// Spread the blocks of a window in time where the path to a client is slow or its queues are shallow.
        public var pacing = true
        /// Give each line of the log its fields as metadata too (client, name, bytes, …); a text log has no use for them.
        public var logsFields = true
        /// How long running transfers may go on after a shutdown was asked for.
        public var drain = Duration.seconds(30)

        /// The defaults, for this folder.
        public init(root: String) { self.root = root }

        /// What clients may write.
        public enum Upload: String, Sendable, CaseIterable {
            /// Nothing.
            case deny
            /// New files only.
            case create
            /// Any file; one of the same name is replaced in one step when the new one is complete.
            case overwrite
        }
    }

    /// An address and a port to answer on.
    public struct ListenAddress: Sendable, CustomStringConvertible {
        let address: TFTPShard.ListenAddress

        /// Reads `ADDR:PORT`, `[ADDR]:PORT`, `:PORT` for every address, or `ADDR` for port 69.
        ///
        /// - Throws: `InvalidAddress` for anything else; names are not looked up.
        public init(_ text: String) throws(InvalidAddress) {
            guard let endpoint = Endpoint(text: text, defaultPort: 69) else {
                throw InvalidAddress(text: text)
            }
            address = TFTPShard.ListenAddress(address: endpoint.address, port: endpoint.port)
        }

        /// As it is read, with the port.
        public var description: String { address.description }
    }

    /// What was given is no address to listen on.
    public struct InvalidAddress: Error, CustomStringConvertible {
        /// What was given.
        public let text: String

        /// One line that says what to give instead.
        public var description: String {
            "'\(text)' is no ADDR:PORT. Give for instance :69, 10.0.0.1:69 or [::1]:6969."
        }
    }
}

extension TFTPServer.Configuration {
    /// The bounds within which a server starts, as text for whoever is outside of them; nil when all is well.
    public var problem: String? {
        if !(8...65464).contains(blksizeMax) { return "the largest blksize is 8 to 65464" }
        if windowsizeMax == 0 { return "the largest windowsize is 1 to 65535" }
        let cacheSizes =
            ReactorConfiguration.cacheByteCountMin...ReactorConfiguration.cacheByteCountMax
        if !cacheSizes.contains(cacheSize) { return "the cache is 16 MiB to 1 TiB" }
        if let shards, !(1...ReactorConfiguration.shardsMax).contains(shards) {
            return "the number of shards is 1 to \(ReactorConfiguration.shardsMax)"
        }
        if !(1...ReactorConfiguration.transfersMaxMax).contains(transfersMax) {
            return "the number of transfers is 1 to \(ReactorConfiguration.transfersMaxMax)"
        }
        if let ports, ports.lowerBound == 0 { return "ports begin at 1" }
        if !(1...ReactorConfiguration.handlersMaxMax).contains(handlersMax) {
            return "the number of handlers is 1 to \(ReactorConfiguration.handlersMaxMax)"
        }
        let timeoutMax = Duration.nanoseconds(ReactorConfiguration.handlerNanosecondsMaxMax)
        if handlerTimeout <= .zero || handlerTimeout > timeoutMax {
            return "the time for a handler is more than 0 and at most \(timeoutMax)"
        }
        if singlePort && ports != nil {
            return "a single port and a range of ports exclude each other"
        }
        return nil
    }

    var forReactor: ReactorConfiguration {
        var reactor = ReactorConfiguration(root: root)
        reactor.listen = listen.map(\.address)
        reactor.shardCount = shards
        reactor.upload = UploadPolicy(rawValue: upload.rawValue) ?? .deny
        reactor.uploadByteCountMax = uploadSizeMax
        reactor.isSinglePort = singlePort
        reactor.ports = ports
        reactor.blksizeMax = blksizeMax
        reactor.windowsizeMax = windowsizeMax
        reactor.cacheByteCount = cacheSize
        reactor.transfersMax = transfersMax
        reactor.usesSegmentation = segmentation
        reactor.handlersMax = handlersMax
        reactor.handlerNanosecondsMax = UInt64(handlerTimeout / .nanoseconds(1))
        reactor.paces = pacing
        return reactor
    }
}
