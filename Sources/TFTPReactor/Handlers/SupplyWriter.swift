/// Content that several transfers make each its own content of: it is in memory once, and comes in
/// once.
package struct SharedContent: Sendable {
    /// What it is asked for by, as the key of a `stream`.
    package let key: String
    /// nil if unknown.
    package let byteCount: UInt64?
    /// For the log.
    package let request: HandlerRequest
    /// Writes it, for all.
    package let body: @Sendable (SupplyWriter) async throws -> Void

    package init(
        key: String, byteCount: UInt64?, request: HandlerRequest,
        body: @escaping @Sendable (SupplyWriter) async throws -> Void
    ) {
        self.key = key
        self.byteCount = byteCount
        self.request = request
        self.body = body
    }
}

/// What a writer that leads to the store thread can do beside writing.
protocol SupplyOrigin: Sendable {
    /// Lets the clients that wait know that content comes, though there is nothing to hand over.
    func progress() async throws
    /// Content that others may read as well; nil where there is no room for it.
    func share(_ content: SharedContent) async throws -> (any SharedReader)?
}

/// Reads shared content.
protocol SharedReader: Sendable {
    /// Bytes from `offset` on, once there are some; none after the end.
    func read(at offset: UInt64, byteCount: Int) async throws -> [UInt8]
    func stop()
}

/// Where the body of a `stream` puts its content.
package struct SupplyWriter: Sendable {
    private let take: @Sendable ([UInt8]) async throws -> Void
    /// nil where what is written leads elsewhere first.
    private let origin: (any SupplyOrigin)?

    /// - Parameter take: gets what is written, in order.
    package init(_ take: @escaping @Sendable ([UInt8]) async throws -> Void) {
        self.init(origin: nil, take)
    }

    init(
        origin: (any SupplyOrigin)?, _ take: @escaping @Sendable ([UInt8]) async throws -> Void
    ) {
        self.origin = origin
        self.take = take
    }

    /// A writer that puts what `change` makes of the bytes here. It may make nothing of them yet.
    package func through(_ change: @escaping @Sendable ([UInt8]) -> [UInt8]) -> SupplyWriter {
        SupplyWriter(origin: origin) { bytes in
            let changed = change(bytes)
            guard changed.isEmpty else { return try await write(changed) }
            try await origin?.progress()
        }
    }

    /// Hands over the next bytes, and returns when there is room for more.
    ///
    /// - Throws: `CancellationError` when no client wants the rest, and `SupplyError` when it
    ///   cannot be taken.
    package func write(_ bytes: [UInt8]) async throws {
        try Task.checkCancellation()
        guard !bytes.isEmpty else { return }
        try await take(bytes)
    }

    /// What a reader of shared content is given at once.
    private static let pieceByteCount: UInt64 = 256 << 10

    /// Writes a part of `content`, as it comes in for all who ask for its key.
    ///
    /// - Returns: false where there is no room to keep it for all. Nothing was written then.
    package func copy(
        _ part: Range<UInt64>, of content: SharedContent
    ) async throws -> Bool {
        guard let reader = try await origin?.share(content) else { return false }
        defer { reader.stop() }
        var offset = part.lowerBound
        while offset < part.upperBound {
            try Task.checkCancellation()
            let count = min(part.upperBound - offset, SupplyWriter.pieceByteCount)
            let piece = try await reader.read(at: offset, byteCount: Int(count))
            guard !piece.isEmpty else { break }
            offset += UInt64(piece.count)
            try await write(piece)
        }
        return true
    }
}

/// Where the body of a `take` gets the upload from.
package struct UploadReader: Sendable {
    private let take: @Sendable () async throws -> [UInt8]?

    init(_ take: @escaping @Sendable () async throws -> [UInt8]?) { self.take = take }

    /// The next bytes, at most 64 KiB; nil after the last. One caller at a time.
    ///
    /// - Throws: `CancellationError` when the client has gone.
    package func next() async throws -> [UInt8]? {
        try Task.checkCancellation()
        return try await take()
    }
}
