package import TFTPCore
package import TFTPStore
package import TFTPWire

/// What belongs to a pending request that goes to a handler or a tree of snapshots: the client, and
/// how the handler refuses. In memory that both threads see, under the same rule as the request
/// itself.
package struct HandlerEndpoints: BitwiseCopyable {
    package var peer: Endpoint
    package var local: Address
    package private(set) var errorCode = ErrorCode.notDefined
    package private(set) var text = RecordName()

    package init(peer: Endpoint, local: Address) {
        self.peer = peer
        self.local = local
    }

    package mutating func setRefusal(_ code: ErrorCode, _ words: String) {
        errorCode = code
        text = unsafe RecordName(Array(words.utf8).span.bytes)
    }
}

/// What a shard tells of an image that a handler supplies.
package struct SupplyMessage: BitwiseCopyable {
    package var image: ImageID
    /// Everything before this extent is acknowledged, and at least something; `released`: the
    /// transfer has ended.
    package var extent: UInt32

    package static let released = UInt32.max

    package init(image: ImageID, extent: UInt32) {
        self.image = image
        self.extent = extent
    }
}
