internal import CLinux
internal import SystemPackage
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPStore
internal import TFTPWire

/// One core's part of the server: a ring, its sockets, and the transfers that came in through them.
///
/// Lives on the stack of its own thread and goes with it. Nothing in a turn allocates, retains or locks: all
/// state is in columns and scratch memory made here.
@safe
struct Shard: ~Copyable {
    let configuration: ReactorConfiguration
    let link: ShardLink
    let shared: SharedResources
    /// Where other processes' sockets are read for all shards.
    let steering: Steering?
    var port: DatagramPort
    var table: TransferTable
    var contents: ContentTable
    var identities = IdentityCache()
    var uploads: UploadSlots
    var seals: SealBook
    let sealedNetworks: Column<Network>
    var runQueue: RunQueue
    /// For how many turns somebody is taken to wait for a single block.
    var promptTurnsLeft = 0
    /// Which places of `link.pendings` are free.
    var freePendings: FreeList
    /// Peers that take no segmented sends, a bit a hash of address and blksize.
    let unsegmented: Column<UInt64>
    /// What `now` was at the beginning of this turn.
    var now: UInt64
    var isDraining = false
    var dallyingCount = 0
    var storeIsWoken = false
    /// Extents that were asked for and have not been answered, also for transfers that have ended since.
    var wantsInFlight = 0
    var strayErrors = StrayErrors()
    var nextDownloadSocket: UInt16 = 0

    static let unsegmentedCount = 4096

    /// Made on the thread that runs it, which the ring belongs to from then on.
    init(
        configuration: ReactorConfiguration, link: ShardLink, sockets opened: [ShardSocket],
        shared: SharedResources, steering: Steering?, transfersMax: Int
    ) throws(Errno) {
        port = try DatagramPort(
            sockets: opened, wakeup: link.shardWakeup, bufferCount: ShardLimits.buffersMax)
        self.configuration = configuration
        self.link = link
        self.shared = shared
        self.steering = steering
        now = clinux_now()
        table = TransferTable(
            capacity: transfersMax, seed: clinux_random(), now: now, paces: configuration.paces,
            sharesPort: configuration.isSinglePort, policies: configuration.clientPolicies,
            isServer: true)
        contents = ContentTable(capacity: transfersMax)
        runQueue = RunQueue(capacity: transfersMax)
        uploads = UploadSlots(capacity: min(transfersMax, ShardLimits.uploadsMax))
        seals = SealBook(capacity: configuration.opensSeals ? transfersMax : 0)
        sealedNetworks = Column(configuration.sealedNetworks)
        freePendings = FreeList(count: link.pendingsMax)
        unsegmented = Column(repeating: 0, count: Shard.unsegmentedCount / 64)
    }
}

/// What all shards read and none writes.
@safe
struct SharedResources: @unchecked Sendable {
    let imageIndex: ImageIndex
    /// The root folder, opened to look only.
    let root: Int32
    /// Whether names can be looked up here without waiting for another machine.
    let rootIsLocal: Bool
    let headers: BlockHeaders
    let interfaces: UnsafeBufferPointer<clinux_interface>
    /// `OwnPorts`.
    let ownPorts: UnsafePointer<UInt64>
}

/// ERRORs to senders that no transfer belongs to: so many in a second, since their addresses may be forged.
struct StrayErrors {
    private var left = ShardLimits.strayErrorsPerSecond
    private var since: UInt64 = 0

    /// Whether one more may go out now.
    mutating func take(now: UInt64) -> Bool {
        if now &- since >= 1_000_000_000 {
            since = now
            left = ShardLimits.strayErrorsPerSecond
        }
        guard left > 0 else { return false }
        left -= 1
        return true
    }
}

/// Numbers that are free, in a stack.
struct FreeList: ~Copyable {
    private let numbers: Column<UInt32>
    private(set) var count: Int

    var capacity: Int { numbers.count }

    init(count: Int) {
        numbers = Column(repeating: 0, count: count)
        self.count = count
        for index in 0..<count { numbers[index] = UInt32(index) }
    }

    mutating func take() -> UInt32? {
        guard count > 0 else { return nil }
        count -= 1
        return numbers[count]
    }

    mutating func give(_ number: UInt32) {
        assert(count < numbers.count)
        numbers[count] = number
        count += 1
    }
}
