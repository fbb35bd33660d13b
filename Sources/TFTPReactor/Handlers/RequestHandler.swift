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
    func answer(_ question: HandlerRequest) async -> HandlerAnswer

    /// Something for the log. Called on the store thread, so it has to return at once.
    func note(_ trouble: HandlerFailure, _ question: HandlerRequest)
}

/// What an operator should know of a handler that the handler itself cannot report.
package enum HandlerFailure: Sendable {
    /// There was nothing to send in time.
    case tooSlow
    /// A reader has waited too long for the next byte.
    case stuck
    /// Everything announced has been written, and the task does not return.
    case notReturned
    /// Too much content of handlers is held: the request was refused.
    case noRoom
    /// The same: what has a key is sent to this client alone.
    case notShared
    /// More was handed in than can be taken.
    case refused(SupplyError)
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

/// Content that several transfers make each its own content of: it is in memory once, and comes in
/// once.
package struct SharedContent: Sendable {
    /// What it is asked for by, as the key of a `stream`.
    package let key: String
    /// nil if unknown.
    package let byteCount: UInt64?
    /// For the log.
    package let question: HandlerRequest
    /// Writes it, for all.
    package let body: @Sendable (SupplyWriter) async throws -> Void

    package init(
        key: String, byteCount: UInt64?, question: HandlerRequest,
        body: @escaping @Sendable (SupplyWriter) async throws -> Void
    ) {
        self.key = key
        self.byteCount = byteCount
        self.question = question
        self.body = body
    }
}

/// Where the body of a `stream` puts its content.
package struct SupplyWriter: Sendable {
    private let take: @Sendable ([UInt8]) async throws -> Void
    /// nil where what is written leads elsewhere first.
    private let handlerTable: (handlerQueue: HandlerQueue, ticket: HandlerTable.Ticket)?

    /// - Parameter take: gets what is written, in order.
    package init(_ take: @escaping @Sendable ([UInt8]) async throws -> Void) {
        self.init(handlerTable: nil, take)
    }

    init(handlerQueue: HandlerQueue, ticket: HandlerTable.Ticket) {
        self.init(handlerTable: (handlerQueue, ticket)) { bytes in
            try await withCheckedThrowingContinuation { continuation in
                handlerQueue.put(.supplied(ticket, bytes, continuation))
            }
        }
    }

    private init(
        handlerTable: (HandlerQueue, HandlerTable.Ticket)?,
        _ take: @escaping @Sendable ([UInt8]) async throws -> Void
    ) {
        self.handlerTable = handlerTable
        self.take = take
    }

    /// A writer that puts what `change` makes of the bytes here. It may make nothing of them yet.
    package func through(_ change: @escaping @Sendable ([UInt8]) -> [UInt8]) -> SupplyWriter {
        SupplyWriter(handlerTable: handlerTable) { bytes in
            let changed = change(bytes)
            guard changed.isEmpty else { return try await write(changed) }
            try await goOn()
        }
    }

    /// Tells waiting clients that content comes, though there is nothing to hand over.
    private func goOn() async throws {
        guard let (handlerQueue, ticket) = handlerTable else { return }
        try await withCheckedThrowingContinuation { handlerQueue.put(.goesOn(ticket, $0)) }
    }

    /// Hands over the next bytes, and returns when there is room for more.
    ///
    /// - Throws: `CancellationError` if no client waits for the rest, and `SupplyError` if the
    ///   bytes cannot be taken.
    package func write(_ bytes: [UInt8]) async throws {
        try Task.checkCancellation()
        guard !bytes.isEmpty else { return }
        try await take(bytes)
    }

    /// What a reader of shared content is given at once.
    private static let pieceByteCount: UInt64 = 256 << 10

    /// Writes a part of `content` as it comes in, shared by all requests with its key.
    ///
    /// - Returns: false if there is no room to share it. Nothing was written then.
    package func copy(
        _ part: Range<UInt64>, of content: SharedContent
    ) async throws -> Bool {
        guard let (handlerQueue, ticket) = handlerTable,
            let reading = try await handlerQueue.share(content, for: ticket)
        else { return false }
        defer { handlerQueue.put(.leaves(reading)) }
        var offset = part.lowerBound
        while offset < part.upperBound {
            try Task.checkCancellation()
            let count = min(part.upperBound - offset, SupplyWriter.pieceByteCount)
            let piece = try await handlerQueue.read(reading, at: offset, byteCount: Int(count))
            guard !piece.isEmpty else { break }
            offset += UInt64(piece.count)
            try await write(piece)
        }
        return true
    }
}

/// Where the body of a `take` gets the upload from.
package struct UploadReader: Sendable {
    let handlerQueue: HandlerQueue
    let ticket: HandlerTable.Ticket

    /// The next bytes, at most 64 KiB; nil after the last. One caller at a time.
    ///
    /// - Throws: `CancellationError` when the client has gone.
    package func next() async throws -> [UInt8]? {
        try Task.checkCancellation()
        return try await withCheckedThrowingContinuation { continuation in
            handlerQueue.put(.asks(ticket, continuation))
        }
    }
}
