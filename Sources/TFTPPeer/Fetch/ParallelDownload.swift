internal import TFTPFetch

/// Gets one file from several nodes at once: workers get chunks, one task passes them on in order.
actor ParallelDownload {
    private let manifest: Manifest
    private var scheduler: ChunkScheduler
    private var workerCount: Int
    private var isStopped = false
    private var byteCounts: [Int: UInt64] = [:]
    /// Workers and readers that wait for any change.
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// What waits to be passed on, at most.
    private static let aheadByteCount = 32 << 20

    /// - Parameter byteCount: what has been passed on before: whole chunks.
    init(_ manifest: Manifest, after byteCount: UInt64, workerCount: Int) {
        self.manifest = manifest
        self.workerCount = workerCount
        scheduler = ChunkScheduler(
            chunkCount: manifest.digests.count,
            first: Int(byteCount / UInt64(manifest.chunkByteCount)),
            aheadMax: max(2, ParallelDownload.aheadByteCount / manifest.chunkByteCount))
    }

    /// Gets chunks from `source` until there are none left to get.
    ///
    /// - Throws: why the source cannot be used any further; other workers get its remaining chunks.
    nonisolated func work(_ worker: Int, _ source: TFTPSource, _ name: String) async throws {
        do {
            while let run = await claim(worker) {
                let range = manifest.range(ofChunk: run.lowerBound)
                let end = manifest.range(ofChunk: run.upperBound - 1).upperBound
                var check = ChunkCheck(manifest, after: range.lowerBound)
                var index = run.lowerBound
                try await source.copy(name, range.lowerBound..<end) { bytes in
                    check.add(bytes)
                    while let chunk = try check.next() {
                        await put(chunk, at: index, by: worker)
                        index += 1
                    }
                }
                guard index == run.upperBound else { throw SourceFailure.anotherVersion }
            }
            await leave(worker)
        } catch {
            await leave(worker)
            throw error
        }
    }

    private func claim(_ worker: Int) async -> Range<Int>? {
        while !isStopped, !scheduler.isDone {
            if let run = scheduler.claim(worker) { return run }
            await change()
        }
        return nil
    }

    private func put(_ chunk: [UInt8], at index: Int, by worker: Int) {
        byteCounts[worker, default: 0] += UInt64(chunk.count)
        scheduler.put(chunk, at: index, by: worker)
        wake()
    }

    /// What a worker has brought.
    func byteCount(of worker: Int) -> UInt64 { byteCounts[worker] ?? 0 }

    private func leave(_ worker: Int) {
        scheduler.giveBack(worker)
        workerCount -= 1
        wake()
    }

    /// The next chunk in order; nil when all have been delivered, or no worker is left.
    func next() async -> [UInt8]? {
        while !isStopped {
            if let chunk = scheduler.take() {
                wake()
                return chunk
            }
            guard workerCount > 0, !scheduler.isDone else { return nil }
            await change()
        }
        return nil
    }

    /// Ends the download: its reader does not want the rest.
    func stop() {
        isStopped = true
        wake()
    }

    private func change() async { await withCheckedContinuation { waiting.append($0) } }

    private func wake() {
        for continuation in waiting { continuation.resume() }
        waiting = []
    }
}
