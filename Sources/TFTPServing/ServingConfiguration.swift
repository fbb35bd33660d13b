package import TFTPWire

/// When a handler is asked.
package enum HandlerOrder: Sendable {
    case never
    case beforeFolder
    /// About what the folder does not have.
    case afterFolder
}

/// How the server of one shard decides. The command line's defaults are these.
package struct ServingConfiguration: Sendable {
    /// Transfers at once, in this shard.
    package var transfersMax = 65_536
    /// Requests that may wait for the store, or a handler, at once.
    package var pendingsMax = ServingLimits.pendingsMaxDefault
    /// What requests may have, until the driver puts another table in its place.
    package var policies = PolicyTable(default: RequestPolicy())
    /// Transfers speak from the socket that requests come to.
    package var isSinglePort = false
    /// When a handler is asked about an RRQ.
    package var reads = HandlerOrder.never
    /// Whether a handler is asked about a WRQ, always before the folder.
    package var handlesWrites = false
    /// Whether a handler opens sealed requests.
    package var opensSeals = false
    /// Whether names can be looked up without waiting for another machine.
    package var rootIsLocal = true
    /// The clients that may send an RRQ, and those that may send a WRQ.
    package var readAccess = AccessList()
    package var writeAccess = AccessList()
    /// What one client may have, and what all of its network.
    package var clientLimits = RequestLimits()
    package var networkLimits = RequestLimits()
    /// Whether each client has a snapshot of its own to read from.
    package var hasSnapshots = false
    /// Whether rules or look-up options decide what names mean.
    package var hasNames = false
    /// Whether the rules are to see names as they came.
    package var keepsNames = false
    /// Whether there is a record also at the beginning of each transfer.
    package var reportsStarts = false
    /// Spread the blocks of a window where the path loses them otherwise.
    package var paces = true
    /// What is done differently for some clients.
    package var clientPolicies = ClientPolicies()

    package init() {}

    /// Whether the driver can tell what a name stands for. Which folder it is to be looked for in,
    /// the store knows alone where there are snapshots.
    var looksAtOnce: Bool { rootIsLocal && !hasSnapshots }

    /// Whether a handler may be asked, now or when the folder has nothing.
    func mayAskHandler(isUpload: Bool) -> Bool { isUpload ? handlesWrites : reads != .never }
}

/// The bounds of one shard's server, each with its cost.
package enum ServingLimits {
    /// Requests that wait for the store, at 1 KiB each.
    package static let pendingsMaxDefault = 1024
    /// Uploads at once in one shard.
    package static let uploadsMax = 128
    /// Chunks of uploads that are being filled or written: 8 MiB a shard, touched as they are used.
    package static let chunksMax = 128
    package static let chunkByteCount = 65_536
    /// What an upload's DATA may carry where requests and DATA share a socket.
    static let singlePortBlksizeMax: UInt16 = 1468
    /// Runs of blocks for one transfer before the next one has its turn.
    static let batchesPerVisit = 2
    package static let timeoutsPerTurn = 512
    static let visitsPerTurn = 512
    /// Windows of up to this size are sent at once; larger ones wait for the end of the turn.
    static let promptByteCountMax = 4096
    /// Bytes of windows per turn, about, while other clients are in lockstep: it bounds how much
    /// longer those wait. Smaller turns cost up to 8 % more, because fewer ACKs are received
    /// together, so without lockstep clients there is no bound.
    static let windowBytesPerTurn = 512 * 1024
    /// Turns without such others until there are none.
    static let promptTurns = 64
    /// Lines about clients that never answered, or that came when the server was too busy:
    /// addresses may be forged.
    static let silentRecordsPerSecond = 20
    /// An upload that has been idle for this time is ended when slots run out.
    static let stalledNanoseconds: UInt64 = 5_000_000_000
    /// So is one that has received less than a block without options a second, after this time.
    static let uploadBytesPerSecondMin: UInt64 = 512
    static let slowUploadSecondsMin: UInt64 = 10
    /// If one port serves all clients, a request repeated sooner after progress is a late
    /// duplicate; later, the client has restarted.
    static let restartNanoseconds: UInt64 = 100_000_000
}
