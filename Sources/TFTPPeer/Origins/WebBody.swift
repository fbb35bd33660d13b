internal import NIOHTTP1

/// The bytes of an answer, as far as they are new: what is here already is left out, or compared
/// and left out.
struct WebBody {
    private let answer: WebAnswer
    /// Bytes that are to come; nil if unknown.
    private let size: UInt64?
    /// What has been read before.
    private var beginning: [UInt8]
    private var byteCount: UInt64 = 0
    private var leftOut: UInt64 = 0
    private var comparison: ResumePrefix.Beginning?
    private var floor = RateFloor()

    init(_ answer: WebAnswer, size: UInt64?, beginning: [UInt8] = []) {
        self.answer = answer
        self.size = size
        self.beginning = beginning
    }

    /// Leaves out what comes first.
    mutating func skip(_ byteCount: UInt64) { leftOut = byteCount }

    /// Leaves out what comes first, if it is the same.
    mutating func compare(with beginning: ResumePrefix.Beginning) { comparison = beginning }

    /// The next bytes, which may be none; nil at the end.
    ///
    /// - Throws: `SourceFailure` also where there are more or fewer than were said, or not enough
    ///   in time.
    mutating func next() async throws -> [UInt8]? {
        guard let bytes = try await read() else {
            guard size == nil || byteCount == size, comparison?.isComplete ?? true else {
                throw SourceFailure.closed
            }
            return nil
        }
        byteCount += UInt64(bytes.count)
        guard byteCount <= size ?? .max else { throw SourceFailure.anotherVersion }
        if comparison != nil { return try comparison?.rest(of: bytes) }
        guard leftOut > 0 else { return bytes }
        let count = Int(min(leftOut, UInt64(bytes.count)))
        leftOut -= UInt64(count)
        return Array(bytes[count...])
    }

    private mutating func read() async throws -> [UInt8]? {
        if !beginning.isEmpty {
            defer { beginning = [] }
            return beginning
        }
        let started = ContinuousClock.now
        let bytes = try await answer.next(within: HTTPSource.stallPatience)
        let isTooSlow = floor.add(bytes?.count ?? 0, in: ContinuousClock.now - started)
        guard !isTooSlow || bytes == nil else { throw SourceFailure.tooSlow }
        return bytes
    }
}

/// Whether a source sends so little that no client would wait for it. Only the time is counted that
/// it was waited for.
struct RateFloor: Equatable, Sendable {
    private var byteCount = 0
    private var waited = Duration.zero

    static let window = Duration.seconds(4)
    static let byteCountMin = 8 << 10

    /// Returns whether less than `byteCountMin` came in the last `window`.
    mutating func add(_ count: Int, in duration: Duration) -> Bool {
        byteCount += count
        waited += duration
        guard waited >= RateFloor.window else { return false }
        defer { self = RateFloor() }
        return byteCount < RateFloor.byteCountMin
    }
}
