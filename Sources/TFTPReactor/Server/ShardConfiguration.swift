package import TFTPCore
internal import TFTPNames
package import TFTPServing
internal import TFTPStore
package import TFTPWire

/// How uploads are kept.
package struct UploadSettings: Sendable {
    /// Permission bits that new files do not get; nil leaves it to the process.
    package var umask: UInt16?
    /// Make the folders that are missing on the way to a name.
    package var createsFolders = false
    /// What an old file's name gets at its end when a new one takes its place; nil keeps none.
    package var backupSuffix: String?
    /// Have file and folder on the disk before the last ACK.
    package var isDurable = true
    /// New files can be written by all users, and only such files can be replaced.
    var filesAreForAll = false
    /// What clients may upload in a period.
    package var quota = UploadQuotaLimits()
    /// The longest suffix, in bytes.
    package static let backupSuffixByteCountMax = 64
}

/// An address and port to answer requests on.
package struct ListenAddress: Hashable, Sendable {
    /// Unspecified: every address of this host, IPv6 and IPv4.
    package var address: Address
    /// 0: any free one.
    package var port: UInt16

    package init(address: Address, port: UInt16) {
        self.address = address
        self.port = port
    }
}

/// How a server is to run. The command line's defaults are these.
package struct ReactorConfiguration: Sendable {
    package var root: String
    package var listen: [ListenAddress] = []
    /// UDP sockets that another process has bound, to answer on as well; the reactor closes them.
    package var passedSockets: [Int32] = []
    /// By how many powers of two rings are smaller than usual, where a limit makes them.
    var ringSizeShift = 0
    /// Whether shards have a quarter of the receive buffers, for machines with little memory.
    package var savesMemory = false
    /// What was opened before the process gave up its privileges; nil: the reactor opens it.
    package var opened: OpenedSockets?
    /// nil: one for each core this process may use.
    package var shardCount: Int?
    package var uploads = UploadSettings()
    /// Serve files that are not world-readable as well.
    package var servesUnreadable = false
    /// Files are accessed with the rights of another user than the process's, such as the owner of
    /// the folder. What that user alone may do, clients may not: they get what all users may.
    var actsAsOwner = false {
        didSet { uploads.filesAreForAll = actsAsOwner }
    }
    package var isSinglePort = false
    /// Ports that transfers speak from; nil: whatever the system gives.
    package var ports: ClosedRange<UInt16>?
    /// Bytes of memory for images.
    package var cacheByteCount = ReactorConfiguration.cacheByteCountDefault
    /// Transfers at once, in all shards together.
    package var transfersMax = 65_536
    package var usesSegmentation = true
    /// When a handler is asked about an RRQ.
    package var reads = HandlerOrder.never
    /// Whether a handler is asked about a WRQ, always before the folder.
    package var handlesWrites = false
    /// Whether a handler opens sealed requests.
    package var opensSeals = false
    /// What requests may have, at the start; `Reactor.publish` puts others in their place.
    package var policies = PolicyTable(default: RequestPolicy())
    /// Sockets for uploads are opened, whatever the policies say at the start.
    package var mayTakeUploads = false
    /// Requests that handlers are asked about at once; one more is answered "busy".
    package var handlersMax = 4096
    /// How long a handler may take until the first bytes, until further bytes that a client waits
    /// for, and to return after the last byte.
    package var handlerNanosecondsMax: UInt64 = 10_000_000_000
    /// The root is a tree of snapshots, and a client's lease on its snapshot expires after this
    /// time of silence.
    package var snapshotHoldNanoseconds: UInt64?
    /// The clients that may send an RRQ, and those that may send a WRQ.
    package var readAccess = AccessList()
    package var writeAccess = AccessList()
    /// What one client may have of each shard, and what all of its network.
    package var clientLimits = RequestLimits()
    package var networkLimits = RequestLimits()
    /// Spread the blocks of a window where the path loses them otherwise.
    package var paces = true
    /// Which files names mean.
    package var names = NameConfiguration()
    /// Whether `Reactor.publish` may put other names in place of these.
    package var namesMayChange = false
    /// What is done differently for some clients.
    package var clientPolicies = ClientPolicies()
    /// Hand on a record also at the beginning of each transfer.
    package var reportsStarts = false
    /// Is asked about what has been read of files.
    package var contentCheck: (any ContentCheck)?

    package init(root: String) { self.root = root }

    /// Whether any WRQ may be granted.
    var takesUploads: Bool { handlesWrites || mayTakeUploads || policies.allowsUploads }

    var hasSnapshots: Bool { snapshotHoldNanoseconds != nil }

    /// What the server of each shard decides by.
    var serving: ServingConfiguration {
        var serving = ServingConfiguration()
        serving.policies = policies
        serving.isSinglePort = isSinglePort
        serving.reads = reads
        serving.handlesWrites = handlesWrites
        serving.opensSeals = opensSeals
        serving.hasSnapshots = hasSnapshots
        serving.readAccess = readAccess
        serving.writeAccess = writeAccess
        serving.clientLimits = clientLimits
        serving.networkLimits = networkLimits
        serving.hasNames = names.plan.isActive || namesMayChange
        serving.keepsNames = names.plan.isLiteral
        serving.reportsStarts = reportsStarts
        serving.paces = paces
        serving.clientPolicies = clientPolicies
        return serving
    }

    package static let cacheByteCountMin = 16 << 20
    package static let cacheByteCountMax = 1 << 40
    package static let cacheByteCountDefault = 1 << 30
    package static let shardsMax = 256
    package static let transfersMaxMax = 1 << 21
    package static let snapshotHoldNanosecondsDefault: UInt64 = 300_000_000_000
    package static let snapshotHoldNanosecondsMax: UInt64 = 86_400_000_000_000
    package static let handlersMaxMax = HandlerTable.requestsMax
    /// The table times a request out after this time.
    package static let handlerNanosecondsMaxMax = Limits.openingPatienceNanoseconds
}

/// Bounds inside a shard, each with its cost.
enum ShardLimits {
    /// SQEs between two enters: sends, re-armed receives.
    static let entryCount: UInt32 = 2048
    /// CQEs: every receive buffer may occupy one, and failed sends as well.
    static let completionCount: UInt32 = 8192
    /// Buffers for requests and ACKs: 8 MiB a shard, touched as they are used.
    static let buffersMax = 4096
    static let bufferByteCount = 2048
    /// 2 MiB a shard instead.
    static let savingRingSizeShift = 2
    /// Buffers for coalesced DATA: 4.2 MiB a shard, touched as they are used.
    static let largeBuffersMax = 64
    static let largeBufferByteCount = 65_536 + 256
    static let uploadsMax = ServingLimits.uploadsMax
    /// Sockets that transfers speak from, for each listener and family: spreads the receive queues,
    /// and gives a restarted client another TID.
    static let downloadSocketsMax = 8
    static let uploadSocketsMax = 2
    static let socketsMax = 16_384
    static let socketBufferByteCount = 4 << 20
    /// A storm's socket stands for many machines.
    static let clientSocketBufferByteCount = 64 << 20
    /// Segments of one send: what every kernel with UDP_SEGMENT takes.
    static let segmentsMax = 64
    static let trainByteCountMax = 65_507
    static let singlesPerVisit = 32
    static let timeoutsPerTurn = 512
    static let visitsPerTurn = 512
    static let repliesPerTurn = 1024
}
