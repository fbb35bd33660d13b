internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// One core's part of the server: a ring, its sockets, and the transfers that came in through them.
///
/// Lives on the stack of its own thread and goes with it. Nothing in a turn allocates, retains or
/// locks: all state is in columns and scratch memory made here. (More than twelve properties: a few
/// of them are what one turn leaves for the next; decisions and their state are in the server.)
@safe
struct Shard: ~Copyable {
    let configuration: ReactorConfiguration
    let link: ShardLink
    let shared: SharedResources
    /// Where other processes' sockets are read for all shards.
    let steering: Steering?
    let published: PublishedPolicies
    var port: DatagramPort
    /// Decides.
    var server: TransferServer
    var identities = IdentityCache()
    var names: ShardNames
    var paths: PathRecord
    var clock = TurnClock()
    /// What `clock` said at the beginning of this turn.
    var now: UInt64
    var storeIsWoken = false
    /// The root was seen to be at its path in this turn.
    var rootIsCurrent = false
    /// Where packets of a traced client go; as it was at the beginning of this turn.
    var tap: TraceTap?
    /// Shards that were handed datagrams in this turn.
    var steered = ShardSet()

    /// Made on the thread that runs it, which the ring belongs to from then on.
    init(
        configuration: ReactorConfiguration, link: ShardLink, sockets opened: [ShardSocket],
        shared: SharedResources, steering: Steering?, published: PublishedPolicies,
        transfersMax: Int
    ) throws(Errno) {
        port = try DatagramPort(
            sockets: opened, wakeup: link.shardWakeup,
            bufferCount: ShardLimits.buffersMax >> configuration.ringSizeShift,
            ringSizeShift: configuration.ringSizeShift)
        self.configuration = configuration
        self.link = link
        self.shared = shared
        self.steering = steering
        self.published = published
        names = ShardNames(
            shared.names, shared.nameMemories[link.index], mayChange: configuration.namesMayChange)
        now = clinux_now()
        var serving = configuration.serving
        serving.transfersMax = transfersMax
        serving.rootIsLocal = shared.rootIsLocal
        server = TransferServer(
            configuration: serving, sockets: opened.map(\.serving), own: shared.own,
            memory: link.memory, counters: link.counters, seed: clinux_random(), now: now)
        paths = PathRecord(transfersMax: transfersMax)
    }
}

/// What all shards read and none writes.
@safe
struct SharedResources: @unchecked Sendable {
    let imageIndex: ImageIndex
    let root: ServedRoot
    /// Whether names can be looked up here without waiting for another machine.
    let rootIsLocal: Bool
    let headers: BlockHeaders
    let own: OwnEndpoints
    let names: PublishedNames
    /// For each shard.
    let nameMemories: [NameMemory]
}
