package import TFTPStore
package import TFTPWire

/// What a shard asks of the store thread, always for one transfer.
package enum StoreRequest: BitwiseCopyable, Sendable {
    /// Is set in the number of an upload that a handler takes.
    package static let handlerUploadFlag = HandlerTable.uploadFlag

    /// Look for the name in `pending` and make an image of it.
    case open(slot: UInt32, generation: UInt32, pending: UInt32)
    /// Put the request in `pending` to the handler.
    case ask(slot: UInt32, generation: UInt32, pending: UInt32)
    /// The answer about `pending` is no longer needed; it still comes.
    case giveUp(pending: UInt32)
    /// Bring extent `extent` of an image that the shard holds, and read none ahead from `end` on;
    /// of one that a handler supplies, that many units.
    case want(slot: UInt32, generation: UInt32, image: ImageID, extent: UInt32, end: UInt32)
    /// Open an unnamed file for the name in `pending`, of `byteCount` bytes if the client said so.
    case openUpload(slot: UInt32, generation: UInt32, pending: UInt32, byteCount: UInt64)
    /// Append the first `byteCount` bytes of `chunk`; after the last, give the file its name.
    case write(upload: UInt32, chunk: UInt32, byteCount: UInt32, isLast: Bool)
    /// Forget the upload and what was written of it.
    case abort(upload: UInt32)
}

/// What the store thread says to a shard. An answer with `pending` gives that place back.
///
/// @safe: what is retained in one is released by the shard that takes it.
@safe
package enum StoreReply: BitwiseCopyable, Sendable {
    /// The image is open and held on the shard's behalf.
    case opened(slot: UInt32, generation: UInt32, pending: UInt32, image: ImageID)
    /// The image that a handler supplies is held on the shard's behalf. `byteCount` is `.max` while
    /// unknown.
    case supplied(
        slot: UInt32, generation: UInt32, pending: UInt32, image: ImageID, byteCount: UInt64)
    /// The request was sealed, and this is how the transfer will be. Retained for the shard; the
    /// answer follows.
    case sealed(slot: UInt32, generation: UInt32, seal: Unmanaged<TransferSeal>)
    /// The handler says no, as the note of `pending` tells.
    case refusedByHandler(slot: UInt32, generation: UInt32, pending: UInt32)
    /// What was ordered will not come: the content ends after this number of bytes.
    case ended(slot: UInt32, generation: UInt32, byteCount: UInt64)
    /// The upload may come.
    case uploadOpened(slot: UInt32, generation: UInt32, pending: UInt32, upload: UInt32)
    case refused(slot: UInt32, generation: UInt32, pending: UInt32, failure: StoreFailure)
    /// The extent that was asked for is there.
    case ready(slot: UInt32, generation: UInt32)
    /// The extent that was asked for will not come.
    case lost(slot: UInt32, generation: UInt32, failure: StoreFailure)
    /// The chunk has been written, or thrown away, and may be filled again.
    case written(chunk: UInt32)
    /// The upload stands under its name.
    case committed(slot: UInt32, generation: UInt32)
    /// The upload has failed.
    case failed(slot: UInt32, generation: UInt32, failure: StoreFailure)
}

/// A request that waits for the store, in memory that both threads see: the shard writes it before
/// it asks and leaves it alone until the answer.
package struct PendingRequest: BitwiseCopyable {
    package var name = FileName()
    package var options = Options()
    package var mode = TransferMode.octet
    package var opcode = Opcode.rrq
    /// What it asks for is sealed, and only a handler can tell: the name is a placeholder until
    /// then.
    package var isSealed = false
    /// What the client's request looked like, before anything of it was refused.
    package var kind = Fingerprint.other
    /// What was found for it when it came.
    package var policy = RequestPolicy()

    /// The first byte of the file that is wanted.
    package var offset: UInt64 { mode == .octet ? options.offset ?? 0 : 0 }
}

/// The packet of a sealed request, kept with what is pending of it.
package struct SealedPending: BitwiseCopyable {
    package static let byteCountMax = 512
    package var packet = InlineArray<512, UInt8>(repeating: 0)
    package var byteCount = 0
    /// What may be granted, which has to be settled before the content can be sealed.
    package var limits: GrantLimits
}
