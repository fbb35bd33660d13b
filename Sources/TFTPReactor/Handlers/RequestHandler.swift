package import TFTPCore
package import TFTPServing
package import TFTPStore
package import TFTPWire

/// Answers requests in place of the folder. One for all shards; many of its tasks run at once.
package protocol RequestHandler: Sendable {
    /// When it is asked about RRQ.
    var answersReads: HandlerOrder { get }
    /// Whether it is asked about WRQ.
    var answersWrites: Bool { get }
    /// Whether it is asked about sealed requests, whatever they turn out to ask for.
    var opensSeals: Bool { get }

    /// Runs in a task of its own, which is cancelled when the client leaves.
    func answer(_ request: HandlerRequest) async -> HandlerAnswer

    /// Something for the log. Called on the store thread, so it has to return at once.
    func note(_ failure: HandlerFailure, _ request: HandlerRequest)
}

/// A request that a handler is asked about.
package struct HandlerRequest: Sendable {
    package var opcode: Opcode
    /// Normalised, as the folder would see it.
    package var name: [UInt8]
    package var peer: Endpoint
    /// Which of our addresses was asked.
    package var local: Address
    package var mode: TransferMode
    /// What the client asks for, before anything is granted.
    package var options: Options
    /// The packet of a request that is sealed, and what may be granted to it. The rest tells only
    /// what is outside then.
    package var sealed: (packet: [UInt8], limits: GrantLimits)?
    /// It was sealed, and this is what it asks for.
    package var isSealed = false
    /// Where there are snapshots: the tree, and what the request is for, which is not known of a
    /// sealed one.
    package var snapshots: SnapshotTree?
    package var place: SnapshotPlace?
    /// Rules want the content made from this.
    package var template: NameTemplate?
}

/// What a handler makes of a request.
package enum HandlerAnswer: Sendable {
    /// RRQ: what the folder has under that name.
    case file
    /// RRQ: these bytes. Requests with the same key share one copy of them.
    case bytes([UInt8], key: String?)
    /// RRQ: what `body` writes; `byteCount` is nil if unknown.
    case stream(byteCount: UInt64?, key: String?, @Sendable (SupplyWriter) async throws -> Void)
    /// WRQ: into the folder, under the name that was asked for and by the configuration's policy,
    /// or others.
    case store(name: [UInt8]?, policy: UploadPolicy?)
    /// WRQ: `body` takes the bytes, and the client gets its last ACK when it has returned.
    case take(@Sendable (UploadReader) async throws -> Void)
    case refused(ErrorCode, String)
    /// A sealed request: the transfer is to be sealed so, and what is sent is sealed already.
    indirect case sealed(TransferSeal, HandlerAnswer)
}
