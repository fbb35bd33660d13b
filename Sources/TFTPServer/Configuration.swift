internal import TFTPCore
package import TFTPReactor
public import TFTPSeal
package import TFTPServing
package import TFTPWire

extension TFTPServer {
    /// How a server is to run. Everything but the folder has a default that suits a netboot server.
    public struct Configuration: Sendable {
        /// The folder that is served. Nothing outside of it is ever read or written, whatever a
        /// client asks for.
        public var root: String
        /// Where to answer. Default: port 69 of every address.
        public var listen: [ListenAddress] = []
        /// Threads that serve; nil takes one for each core this process may use.
        public var shards: Int?
        /// What clients may write.
        public var upload = Upload.deny
        /// Bytes; a longer upload is refused with ERROR 3.
        public var uploadSizeMax: UInt64 = 1 << 40
        /// Serve files that are not world-readable as well. Otherwise a file whose mode lacks o+r
        /// is refused with ERROR 2, whichever user the server runs as.
        public var serveUnreadable = false
        /// Permission bits that new files do not get: they are made with 0666 less these. nil:
        /// 0644, less the process's own.
        public var uploadUmask: UInt16?
        /// Make the folders that are missing on the way to an uploaded file.
        public var createFolders = false
        /// Not nil: where an upload takes the place of a file, the old one is kept with this at the
        /// end of its name.
        public var backupSuffix: String?
        /// Bring an upload and its name to the disk before its last ACK. Without, a crash of the
        /// machine within half a minute or so loses what clients were told is stored.
        public var durableUploads = true
        /// Answer from the port that was asked instead of a fresh one (RFC 1350 §4), for firewalls
        /// that expect it.
        public var singlePort = false
        /// The ports that answers may come from; nil leaves it to the system.
        public var ports: ClosedRange<UInt16>?
        /// The largest blksize granted, 8...65464 (RFC 2348). The link's MTU lowers it further.
        public var blksizeMax: UInt16 = 65464
        /// The largest windowsize granted, 1...65535 (RFC 7440). 65535 is granted as 65534, and a
        /// window is at most 4 MiB, of what a handler supplies 510 KiB.
        public var windowsizeMax: UInt16 = 65535
        /// Bytes of memory for file content, at least 16 MiB; touched as it is used. At most half
        /// of it holds content of handlers: 2 MiB per stream to a single client, and the whole of
        /// content that clients share by a key.
        public var cacheSize = ReactorConfiguration.cacheByteCountDefault
        /// Transfers at once; one more is answered with ERROR 0 "busy".
        public var transfersMax = 65_536
        /// When the `get` handler is asked. Behind the folder it costs nothing for files that are
        /// there.
        public var handlerOrder = HandlerOrder.beforeFolder
        /// How long a handler may take until there is something to send, at most a minute. Then the
        /// client gets ERROR 0, and the handler is cancelled. The same for a stream that a client
        /// waits for in the middle, and for one that has written everything and does not return.
        public var handlerTimeout = Duration.seconds(10)
        /// Requests that handlers work on at once, 1...65536; further requests are answered with
        /// ERROR 0 "busy". A handler that continues although it was cancelled counts.
        public var handlersMax = 4096
        /// Keys of sealed transfers; without keys the option `seal` is ignored. A client with any
        /// of the keys may read and write like any other client, and an attacker on the path can
        /// neither read nor change what is transferred.
        public var sealKeys: SealKeys?
        /// Where plain requests are refused with ERROR 2. Needs `sealKeys`.
        public var requireSeal: [Network] = []
        /// Not nil: `root` is a tree of snapshots (see `TFTPServer.Snapshots`), and a client that
        /// has asked for a file gets all others from the same snapshot, until it was silent for so
        /// long. At least a second, at most a day. Clients are told apart by address, so those
        /// behind one NAT share a hold. What is published is not written to: `upload` has to be
        /// `deny`, and a handler may take an upload but not store it.
        public var snapshotHold: Duration?
        /// What some clients have that others have not; see `Policy`. At most `Policy.countMax`.
        public var policies: [Policy] = []
        /// `TFTPServer.update` may allow uploads later, so sockets for them are opened at the
        /// start.
        public var isReloadable = false
        /// Send windows as segmented batches (UDP GSO) where the kernel can.
        public var segmentation = true
        /// Spread the blocks of a window in time where the path to a client is slow or its queues
        /// are shallow.
        public var pacing = true
        /// What is done differently for some kinds of clients.
        package var clientPolicies = ClientPolicies()
        /// Give each line of the log its fields as metadata too (client, name, bytes, …); a text
        /// log has no use for them.
        public var logsFields = true
        /// UDP sockets that a service manager has bound, to answer on in addition to `listen`; the
        /// server closes them.
        package var passedSockets: [Int32] = []
        /// What `TFTPServer.open` has opened.
        package var opened: OpenedSockets?
        /// What the start's line and `status` call the program.
        package var version = "library"
        /// Whether shards take less memory than is best for them.
        package var savesMemory = false
        /// The settings that differ from the defaults, one per line, for `status`.
        package var policyLines: [String] = []
        /// Which files names mean.
        package var names = NameConfiguration()
        /// Which clients may ask, and how much each may have.
        package var access = Access()
        /// Whether `update` may bring other names.
        package var reloadsNames = false
        /// Makes the content that a rule wants made from a template.
        package var template: (@Sendable (NameTemplate) async throws -> Response)?
        /// Is asked about what has been read of files before anybody gets it.
        package var contentCheck: (any ContentCheck)?
        /// Log a line also at the beginning of each transfer, at level `debug`.
        public var logsStarts = false
        /// Is shown every transfer at its end, on the thread of the log.
        package var observer: (@Sendable (TransferRecord) -> Void)?
        /// A hold that suits most halls: machines boot in less, and a new snapshot reaches those
        /// that are idle soon.
        public static let snapshotHoldDefault = Duration.nanoseconds(
            ReactorConfiguration.snapshotHoldNanosecondsDefault)
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
            /// Files that exist; each is replaced in one step when the new one is complete.
            case existing
            /// Any file; one of the same name is replaced in one step when the new one is complete.
            case overwrite
        }
    }

    /// When a `get` handler is asked.
    public enum HandlerOrder: Sendable {
        /// About every RRQ, whatever the folder has.
        case beforeFolder
        /// About names that the folder does not have. `.file` looks there once more.
        case afterFolder
    }

    /// An address and a port to answer on.
    public struct ListenAddress: Sendable, CustomStringConvertible {
        /// The address and the port.
        package let address: TFTPReactor.ListenAddress

        /// Reads `ADDR:PORT`, `[ADDR]:PORT`, `:PORT` for every address, or `ADDR` for port 69.
        ///
        /// - Throws: `InvalidAddress` for anything else; names are not looked up.
        public init(_ text: String) throws(InvalidAddress) {
            guard let endpoint = Endpoint(text: text, defaultPort: 69) else {
                throw InvalidAddress(text: text)
            }
            address = TFTPReactor.ListenAddress(address: endpoint.address, port: endpoint.port)
        }

        /// 0: any free one.
        public var port: UInt16 { address.port }

        /// As it is read, with the port.
        public var description: String { address.description }
    }

    /// The text is not an address to listen on.
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
    /// What is out of bounds in the configuration, as text; nil if the server can start with it.
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
        if !requireSeal.isEmpty && sealKeys == nil {
            return "requiring a seal needs a key to seal with"
        }
        if policies.count > TFTPServer.Policy.countMax {
            return "there are at most \(TFTPServer.Policy.countMax) policies"
        }
        if sealKeys == nil, policies.contains(where: { $0.requireSeal == true }) {
            return "requiring a seal needs a key to seal with"
        }
        if let snapshotHold {
            let holdMax = Duration.nanoseconds(ReactorConfiguration.snapshotHoldNanosecondsMax)
            if snapshotHold < .seconds(1) || snapshotHold > holdMax {
                return "a snapshot is held for 1 second to 1 day"
            }
            if upload != .deny || policies.contains(where: { ($0.upload ?? .deny) != .deny }) {
                return "snapshots are not written to: uploads need a server of their own"
            }
            if names.isActive {
                return "rules and look-up options for names need a server without snapshots"
            }
        }
        if let uploadUmask, uploadUmask > 0o777 { return "the umask of uploads is 0 to 0777" }
        if let backupSuffix, !isSuffix(backupSuffix) {
            return "the suffix of a backup is part of a file name, of at most "
                + "\(UploadSettings.backupSuffixByteCountMax) bytes"
        }
        if let problem = access.problem { return problem }
        if singlePort && ports != nil {
            return "a single port and a range of ports exclude each other"
        }
        return nil
    }

    private func isSuffix(_ text: String) -> Bool {
        (1...UploadSettings.backupSuffixByteCountMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") }
    }

    var forReactor: ReactorConfiguration {
        var reactor = ReactorConfiguration(root: root)
        reactor.listen = listen.map(\.address)
        reactor.passedSockets = passedSockets
        reactor.opened = opened
        reactor.shardCount = shards
        reactor.servesUnreadable = serveUnreadable
        reactor.policies = policyTable
        reactor.mayTakeUploads = isReloadable
        reactor.uploads.umask = uploadUmask
        reactor.uploads.createsFolders = createFolders
        reactor.uploads.backupSuffix = backupSuffix
        reactor.uploads.isDurable = durableUploads
        reactor.uploads.quota = access.quota
        reactor.isSinglePort = singlePort
        reactor.ports = ports
        reactor.cacheByteCount = cacheSize
        reactor.savesMemory = savesMemory
        reactor.transfersMax = transfersMax
        reactor.usesSegmentation = segmentation
        reactor.handlersMax = handlersMax
        reactor.handlerNanosecondsMax = UInt64(handlerTimeout / .nanoseconds(1))
        reactor.paces = pacing
        reactor.clientPolicies = clientPolicies
        reactor.contentCheck = contentCheck
        reactor.readAccess = access.readers
        reactor.writeAccess = access.writers
        reactor.clientLimits = access.clients
        reactor.networkLimits = access.networks
        reactor.reportsStarts = logsStarts
        reactor.names = names
        reactor.namesMayChange = reloadsNames
        reactor.snapshotHoldNanoseconds = snapshotHold.map { UInt64($0 / .nanoseconds(1)) }
        return reactor
    }
}
