internal import TFTPCore
internal import TFTPStore
internal import TFTPWire

/// What goes with a pending request that a handler is asked about, or that is for a tree of snapshots: who asks, and how the
/// handler refuses. In memory that both threads see, under the same rule as the request itself.
struct HandlerEndpoints: BitwiseCopyable {
    var peer: Endpoint
    var local: Address
    private(set) var errorCode = ErrorCode.notDefined
    private(set) var text = RecordName()

    init(peer: Endpoint, local: Address) {
        self.peer = peer
        self.local = local
    }

    mutating func setRefusal(_ code: ErrorCode, _ words: String) {
        errorCode = code
        text = unsafe RecordName(Array(words.utf8).span.bytes)
    }
}

/// What a shard tells of an image that a handler supplies.
struct SupplyMessage: BitwiseCopyable {
    var image: ImageID
    /// Everything before this extent is acknowledged, and at least something; `released`: the transfer has ended.
    var extent: UInt32

    static let released = UInt32.max
}
