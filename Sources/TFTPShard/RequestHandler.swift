package import TFTPCore
package import TFTPWire

/// Answers requests in place of the folder. One for all shards; many of its tasks run at once.
package protocol RequestHandler: Sendable {
    /// Whether it is asked about RRQ.
    var answersReads: Bool { get }
    /// Whether it is asked about WRQ.
    var answersWrites: Bool { get }

    /// Runs in a task of its own, which is cancelled when nobody waits for the answer any more.
    func answer(_ question: HandlerQuestion) async -> HandlerAnswer

    /// The answer did not come in time. Called on the store thread, so it has to return at once.
    func didTimeOut(_ question: HandlerQuestion)
}

/// A request that a handler is asked about.
package struct HandlerQuestion: Sendable {
    package var opcode: Opcode
    /// Normalised, as the folder would see it.
    package var name: [UInt8]
    package var peer: Endpoint
    /// Which of our addresses was asked.
    package var local: Address
    package var mode: TransferMode
    /// What the client asks for, before anything is granted.
    package var options: Options
}

/// What a handler makes of a request.
package enum HandlerAnswer: Sendable {
    /// RRQ: what the folder has under that name.
    case file
    /// RRQ: these bytes. Requests with the same key share one copy of them.
    case bytes([UInt8], key: String?)
    /// RRQ: what `body` writes; of so many bytes, if that is known.
    case stream(byteCount: UInt64?, key: String?, @Sendable (SupplyWriter) async throws -> Void)
    /// WRQ: into the folder, under the name that was asked for and by the configuration's policy, or others.
    case store(name: [UInt8]?, policy: UploadPolicy?)
    /// WRQ: `body` takes the bytes, and the client gets its last ACK when it has returned.
    case take(@Sendable (UploadReader) async throws -> Void)
    case refused(ErrorCode, String)
}

/// Where the body of a `stream` puts its content.
package struct SupplyWriter: Sendable {
    let inbox: HandlerInbox
    let number: UInt32

    /// Hands over the next bytes, and returns when there is room for more.
    ///
    /// - Throws: `CancellationError` when nobody wants the rest.
    package func write(_ bytes: [UInt8]) async throws {
        try Task.checkCancellation()
        guard !bytes.isEmpty else { return }
        try await withCheckedThrowingContinuation { continuation in
            inbox.put(.supplied(number, bytes, continuation))
        }
    }
}

/// Where the body of a `take` gets the upload from.
package struct UploadReader: Sendable {
    let inbox: HandlerInbox
    let number: UInt32

    /// The next bytes, at most 64 KiB; nil after the last. One caller at a time.
    ///
    /// - Throws: `CancellationError` when the client has gone.
    package func next() async throws -> [UInt8]? {
        try Task.checkCancellation()
        return try await withCheckedThrowingContinuation { continuation in
            inbox.put(.asks(number, continuation))
        }
    }
}
