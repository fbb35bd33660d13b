package import TFTPCore

/// What may be uploaded.
package enum UploadPolicy: String, Sendable, CaseIterable {
    case deny
    /// New names only.
    case create
    /// Any name; a file of that name is replaced in one step.
    case overwrite
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
    /// nil: one for each core this process may use.
    package var shardCount: Int?
    package var upload = UploadPolicy.deny
    /// Bytes; a longer upload is refused.
    package var uploadByteCountMax: UInt64 = 1 << 40
    package var isSinglePort = false
    /// Ports that transfers speak from; nil: whatever the system gives.
    package var ports: ClosedRange<UInt16>?
    package var blksizeMax: UInt16 = 65464
    package var windowsizeMax: UInt16 = 65535
    /// Bytes of memory for images.
    package var cacheByteCount = ReactorConfiguration.cacheByteCountDefault
    /// Transfers at once, in all shards together.
    package var transfersMax = 65_536
    package var usesSegmentation = true
    /// Whether a handler is asked about RRQ and WRQ before the folder.
    package var handlesReads = false
    package var handlesWrites = false
    /// Requests that handlers are asked about at once; one more is answered "busy".
    package var handlersMax = 4096
    /// How long a handler may take before there is something to send.
    package var handlerNanosecondsMax: UInt64 = 10_000_000_000
    /// Spread the blocks of a window where the path loses them otherwise.
    package var paces = true

    package init(root: String) { self.root = root }

    /// Whether any WRQ may be granted.
    var takesUploads: Bool { upload != .deny || handlesWrites }

    package static let cacheByteCountMin = 16 << 20
    package static let cacheByteCountMax = 1 << 40
    package static let cacheByteCountDefault = 1 << 30
    package static let shardsMax = 256
    package static let transfersMaxMax = 1 << 21
    package static let handlersMaxMax = HandlerDesk.questionsMax
    /// The table gives a request up when it has waited so long.
    package static let handlerNanosecondsMaxMax = Limits.openingPatienceNanoseconds
}

/// Bounds inside a shard. What they cost is beside each.
enum ShardLimits {
    /// SQEs between two enters: sends, re-armed receives.
    static let entryCount: UInt32 = 2048
    /// CQEs: every receive buffer may stand in one, and failed sends beside them.
    static let completionCount: UInt32 = 8192
    /// Buffers for requests and ACKs: 8 MiB a shard, touched as they are used.
    static let buffersMax = 4096
    static let bufferByteCount = 2048
    /// Buffers for coalesced DATA: 4.2 MiB a shard, touched as they are used.
    static let largeBuffersMax = 64
    static let largeBufferByteCount = 65_536 + 256
    /// What an upload's DATA may carry where requests and DATA share a socket.
    static let singlePortBlksizeMax: UInt16 = 1468
    static let uploadsMax = 128
    /// Sockets that transfers speak from, for each listener and family: spreads the receive queues, and
    /// gives a restarted client another TID.
    static let downloadSocketsMax = 8
    static let uploadSocketsMax = 2
    static let socketsMax = 16_384
    static let socketBufferByteCount = 4 << 20
    /// A storm's socket stands for many machines.
    static let clientSocketBufferByteCount = 64 << 20
    /// Segments of one send: what every kernel with UDP_SEGMENT takes.
    static let segmentsMax = 64
    static let trainByteCountMax = 65_507
    /// Sends for one transfer before the next one has its turn.
    static let trainsPerVisit = 2
    static let singlesPerVisit = 32
    static let timeoutsPerTurn = 512
    static let repliesPerTurn = 1024
    static let visitsPerTurn = 512
    /// ERRORs to strangers in a second: enough to be helpful, too few to be a weapon.
    static let strayErrorsPerSecond = 1000
}
