internal import Crypto
internal import TFTPReactor
internal import TFTPSeal
internal import TFTPWire

/// What arrives, on its way to where it is wanted: translated and checked.
struct ReceivedContent {
    private var decoder: NetasciiDecoder?
    private var hash: SHA256?
    private let expected: [UInt8]?
    private var limit: RateLimit?

    init(_ options: TFTPClient.Options) {
        decoder = options.mode == .netascii ? NetasciiDecoder() : nil
        expected = options.sha256
        hash = expected == nil ? nil : SHA256()
        limit = options.rateMax.map { RateLimit(bytesPerSecond: $0) }
    }

    /// How many of `byteCount` bytes may be taken now; 0: after `pause`.
    mutating func allowance(of byteCount: Int) -> Int {
        limit?.allowance(of: byteCount, now: monotonicNow()) ?? byteCount
    }

    /// nil: the rate allows more at once.
    var pause: Duration? { limit?.pause(now: monotonicNow()) }

    /// Hands `piece` on.
    mutating func take(
        _ piece: UnsafeRawBufferPointer, _ sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard decoder != nil else { return try unsafe pass(piece, sink) }
        // The decoded text is never longer than what it came as, but for a CR that was left over.
        let room = UnsafeMutableRawBufferPointer.allocate(
            byteCount: piece.count + 1, alignment: 1)
        defer { unsafe room.deallocate() }
        var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
        _ = unsafe decoder?.decode(piece.bytes, into: &output)
        let count = unsafe output.finalize(for: room)
        try unsafe pass(UnsafeRawBufferPointer(rebasing: room[..<count]), sink)
    }

    /// That was all. Throws when it is not what it should be.
    mutating func finish(_ sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        // A text may end in a CR that waited for what follows it.
        if decoder?.hasPending == true {
            let cr: [UInt8] = [0x0D]
            try unsafe cr.withUnsafeBytes { try unsafe pass($0, sink) }
        }
        guard let expected, let hash else { return }
        let actual = Array(hash.finalize())
        guard actual != expected else { return }
        throw TFTPClient.Failure.verificationFailed(
            expected: hexadecimal(expected), actual: hexadecimal(actual))
    }

    private mutating func pass(
        _ bytes: UnsafeRawBufferPointer, _ sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        unsafe hash?.update(bufferPointer: bytes)
        try unsafe sink(bytes)
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// Puts content into a transfer's ring, translated where it is text, and waits for room.
struct ContentWriter {
    private let exchange: Exchange
    private var encoder: NetasciiEncoder?
    /// Once the server has said how.
    private var sealer: BlockSealer?
    private let isSealed: Bool
    private var limit: RateLimit?

    init(_ exchange: Exchange) {
        self.exchange = exchange
        isSealed = exchange.options.sealKeys != nil
        encoder = exchange.options.mode == .netascii ? NetasciiEncoder() : nil
        limit = exchange.options.rateMax.map { RateLimit(bytesPerSecond: $0) }
    }

    /// Whether bytes go out as they are, so that they may be read straight into `room`.
    var isPlain: Bool { encoder == nil && !isSealed }

    /// Whether the transfer has ended, or its reader has cancelled it.
    var hasEnded: Bool { exchange.transfer.result != nil }

    /// Room in the ring, once there is some and the rate allows it; nil when the transfer has
    /// ended.
    mutating func room() async throws -> UnsafeMutableRawBufferPointer? {
        while exchange.transfer.result == nil {
            try Task.checkCancellation()
            if let pause = limit?.pause(now: monotonicNow()) {
                try await Task.sleep(for: pause)
                continue
            }
            let room = unsafe exchange.transfer.writable
            let count = min(room.count, limit?.quantumByteCount ?? room.count)
            if count > 0 { return unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<count]) }
            await exchange.ready()
        }
        return nil
    }

    /// `count` bytes were put into the latest `room`.
    mutating func didFill(_ count: Int) {
        exchange.transfer.didWrite(count)
        limit?.pass(count, now: monotonicNow())
    }

    /// Writes all of `bytes`. False when the transfer has ended before.
    @discardableResult
    mutating func write(_ bytes: [UInt8]) async throws -> Bool {
        guard isSealed else { return try await pass(bytes) }
        guard unsafe try await room() != nil else { return false }
        sealer = sealer ?? exchange.transfer.sealer
        for start in stride(from: 0, to: bytes.count, by: Self.pieceByteCount) {
            let piece = Array(bytes[start..<min(bytes.count, start + Self.pieceByteCount)])
            let content = encoder?.encodeAll(piece) ?? piece
            guard try await pass(sealer?.add(content) ?? []) else { return false }
        }
        return true
    }

    /// What is sealed at once.
    private static let pieceByteCount = 256 << 10

    private mutating func pass(_ bytes: [UInt8]) async throws -> Bool {
        var offset = 0
        while offset < bytes.count {
            guard let room = unsafe try await room() else { return false }
            offset += unsafe fill(room, from: bytes, offset)
        }
        return true
    }

    /// All was written; what the translation still owes follows.
    mutating func finish() async throws {
        if isSealed {
            // There may have been no content at all.
            guard try await write([]), try await pass(sealer?.finish() ?? []) else { return }
        }
        while encoder?.hasPending == true {
            guard let room = unsafe try await room() else { return }
            _ = unsafe fill(room, from: [], 0)
        }
        exchange.transfer.finishWriting()
    }

    /// Returns how many of the bytes from `offset` on went in.
    private mutating func fill(
        _ room: UnsafeMutableRawBufferPointer, from bytes: [UInt8], _ offset: Int
    ) -> Int {
        guard encoder != nil, !isSealed else {
            let count = min(room.count, bytes.count - offset)
            unsafe room.copyBytes(from: bytes[offset..<(offset + count)])
            didFill(count)
            return count
        }
        var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
        let source = unsafe bytes.span.bytes.extracting(droppingFirst: offset)
        let used = encoder?.encode(source, into: &output) ?? 0
        didFill(unsafe output.finalize(for: room))
        return used
    }
}

/// How many bytes may pass at a time so that a transfer stays below a rate. A value without a
/// clock: `now` is in nanoseconds.
struct RateLimit {
    private let bytesPerSecond: UInt64
    /// When what has passed is paid for.
    private var paidAt: UInt64 = 0

    static let bytesPerSecondMin: UInt64 = 1024

    /// - Precondition: `bytesPerSecond` is `bytesPerSecondMin` at least.
    init(bytesPerSecond: UInt64) {
        precondition(bytesPerSecond >= RateLimit.bytesPerSecondMin)
        self.bytesPerSecond = bytesPerSecond
    }

    /// What passes at once: a twentieth of a second, 512 bytes at least.
    var quantumByteCount: Int { max(512, Int(clamping: bytesPerSecond / 20)) }

    /// How long nothing may pass from `now` on; nil: something may.
    func pause(now: UInt64) -> Duration? {
        paidAt > now ? .nanoseconds(Int64(clamping: paidAt - now)) : nil
    }

    /// `byteCount` bytes have passed. A transfer that was slower saves nothing up.
    mutating func pass(_ byteCount: Int, now: UInt64) {
        let (seconds, rest) = UInt64(byteCount).quotientAndRemainder(dividingBy: bytesPerSecond)
        let nanoseconds = seconds * 1_000_000_000 + rest * 1_000_000_000 / bytesPerSecond
        paidAt = max(paidAt, now) + nanoseconds
    }

    /// How many of `byteCount` bytes may pass now, counted as passed; 0 during a pause.
    mutating func allowance(of byteCount: Int, now: UInt64) -> Int {
        guard pause(now: now) == nil else { return 0 }
        let count = min(byteCount, quantumByteCount)
        pass(count, now: now)
        return count
    }
}
