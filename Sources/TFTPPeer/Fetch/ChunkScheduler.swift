/// Which chunks of a file to request from which source, when several have the file.
///
/// A value without a clock or a socket. Workers are numbers, one for each source. Chunks are
/// assigned in runs, from the beginning on and not far ahead of what has been delivered. The chunk
/// that delivery waits for is assigned a second time, to an idle worker, so that the slowest source
/// does not set the speed.
struct ChunkScheduler: Sendable {
    private let chunkCount: Int
    private let aheadMax: Int
    /// The next chunk to pass on.
    private(set) var head: Int
    /// The first chunk that has not been assigned.
    private var fresh: Int
    /// Given back by workers that could not get them.
    private var returned: [Int] = []
    private var ready: [Int: [UInt8]] = [:]
    /// What each worker has been given and has not brought.
    private var claims: [Int: Range<Int>] = [:]
    /// How many chunks each worker has brought.
    private var broughtCounts: [Int: Int] = [:]
    private var isHeadAskedTwice = false

    private static let runMax = 4

    /// - Parameters:
    ///   - first: the chunk to begin with.
    ///   - aheadMax: chunks that may be under way or wait, at least 1.
    init(chunkCount: Int, first: Int, aheadMax: Int) {
        self.chunkCount = chunkCount
        self.aheadMax = aheadMax
        head = first
        fresh = first
    }

    var isDone: Bool { head == chunkCount }

    /// What `worker`, which has nothing to do, is to get now; nil: nothing yet, or nothing more.
    mutating func claim(_ worker: Int) -> Range<Int>? {
        assert(claims[worker] == nil)
        if let run = nextRun(worker) {
            claims[worker] = run
            return run
        }
        // Only a worker that has delivered its own chunks, and so is quick enough.
        guard !isDone, ready[head] == nil, !isHeadAskedTwice, broughtCounts[worker, default: 0] > 0
        else { return nil }
        isHeadAskedTwice = true
        claims[worker] = head..<head + 1
        return claims[worker]
    }

    private mutating func nextRun(_ worker: Int) -> Range<Int>? {
        if let index = returned.min() {
            returned.removeAll { $0 == index }
            return index..<index + 1
        }
        // The first run is short: all sources are at work sooner, and the first bytes are there.
        let count = broughtCounts[worker, default: 0] == 0 ? 1 : ChunkScheduler.runMax
        let end = min(chunkCount, head + aheadMax, fresh + count)
        guard fresh < end else { return nil }
        defer { fresh = end }
        return fresh..<end
    }

    /// `worker` has brought the next chunk of what it was given. Whether it is to go on with the
    /// rest.
    mutating func put(_ chunk: [UInt8], at index: Int, by worker: Int) {
        broughtCounts[worker, default: 0] += 1
        if let claim = claims[worker] {
            claims[worker] = index + 1 < claim.upperBound ? index + 1..<claim.upperBound : nil
        }
        guard index >= head, ready[index] == nil else { return }
        ready[index] = chunk
        returned.removeAll { $0 == index }
    }

    /// `worker` has ended: its missing chunks are assigned again.
    mutating func giveBack(_ worker: Int) {
        guard let claim = claims.removeValue(forKey: worker) else { return }
        let others = claims.values
        returned += claim.filter { index in
            index >= head && ready[index] == nil && !others.contains { $0.contains(index) }
        }
        if claim.contains(head) { isHeadAskedTwice = false }
    }

    /// The next chunk in order, if it is there.
    mutating func take() -> [UInt8]? {
        guard let chunk = ready.removeValue(forKey: head) else { return nil }
        head += 1
        isHeadAskedTwice = false
        return chunk
    }
}
