internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import TFTPCore
internal import TFTPReactor

/// Thousands of simulated machines against one server, on threads of their own.
///
/// `run` once. `progress` and `interrupt` may be called from any thread meanwhile.
package final class Storm: Sendable {
    /// The largest file that is learned by fetching it.
    package static let learnByteCountMax = 4 << 30

    private let configuration: StormConfiguration
    private let interruption = StormProgress.Interruption()
    private let shared = Mutex<StormProgress?>(nil)

    package init(_ configuration: StormConfiguration) {
        precondition(!configuration.files.isEmpty && !configuration.clients.isEmpty)
        self.configuration = configuration
    }

    /// Ends the storm; `run` returns what it has found so far.
    package func interrupt() { interruption.set() }

    /// How far the storm is; nil before it begins.
    package var progress: StormSample? { shared.withLock { $0?.sample } }

    /// Asks for every file once, so that what is wrong is said before the storm, then storms.
    /// Blocks until it is over.
    package func run() throws(StormError) -> StormReport {
        var configuration = configuration
        try Storm.checkNames(configuration)
        if StormSockets.areShared(configuration.server) {
            try StormSockets.checkAddresses(machineCount: configuration.machineCount)
        }
        for index in configuration.files.indices where configuration.asksFirst {
            try askFirst(for: &configuration.files[index])
        }
        let progress = StormProgress(interruption)
        let threads = try startAll(configuration, progress)
        self.shared.withLock { $0 = progress }
        let timeline = watch(threads, progress)
        var report = StormReport()
        for thread in threads { report.add(try thread.join()) }
        report.timeline = timeline.moments
        report.wasInterrupted = interruption.isSet
        return report
    }

    private static func checkNames(_ configuration: StormConfiguration) throws(StormError) {
        for name in configuration.files.map(\.name) {
            let bytes = name.utf8
            if bytes.count > MachineTable.nameByteCountMax || bytes.contains(0) {
                throw .name(name)
            }
        }
    }

    /// Opens every socket, starts every thread, and lets them begin together.
    private func startAll(
        _ configuration: StormConfiguration, _ progress: StormProgress
    ) throws(StormError) -> [StormThread] {
        let sockets = try (0..<configuration.shardCount).map { (shard) throws(StormError) in
            try StormSockets(
                configuration, machineCount: configuration.machines(ofShard: shard).count,
                isFirst: false)
        }
        // Waiters for the beginning are woken even if starting fails.
        defer { progress.begin() }
        var threads: [StormThread] = []
        do throws(StormError) {
            for (shard, sockets) in sockets.enumerated() {
                threads.append(
                    try StormThread(configuration, shard, sockets, progress, .storming))
            }
        } catch {
            interruption.set()
            throw error
        }
        while progress.readyCount < threads.count && !threads.contains(where: \.hasEnded) {
            usleep(500)
        }
        return threads
    }

    private func watch(_ threads: [StormThread], _ progress: StormProgress) -> Timeline {
        var timeline = Timeline()
        while !threads.allSatisfy(\.hasEnded) {
            usleep(20_000)
            let sample = progress.sample
            if sample.seconds >= timeline.nextSeconds { timeline.note(sample) }
        }
        timeline.note(progress.sample)
        return timeline
    }

    // MARK: The first fetch

    /// One machine asks for the file: learns what every other must get, or only whether it is there
    /// where that is known.
    private func askFirst(for file: inout StormConfiguration.File) throws(StormError) {
        let known = file.reference
        let reference =
            known ?? Reference(capacity: Storm.learnByteCountMax / configuration.files.count)
        let report = try runOne(
            .init(name: file.name, weight: 1, reference: reference),
            known == nil ? .learning : .asking)
        guard report.doneCount == 1 else {
            let server = configuration.referenceServer ?? configuration.server
            throw StormError(fetching: file.name, from: server, report)
        }
        file.reference = reference
    }

    private func runOne(
        _ file: StormConfiguration.File, _ purpose: StormShard.Purpose
    ) throws(StormError) -> StormReport {
        var single = configuration
        single.server = configuration.referenceServer ?? configuration.server
        single.files = [file]
        single.clients = [.init(kind: .plain, share: 1)]
        single.plain = .init()
        single.machineCount = 1
        single.ending = .transfers(1)
        single.startsPerSecond = nil
        single.rampSeconds = 0
        single.shardCount = 1
        let progress = StormProgress(interruption)
        let sockets = try StormSockets(single, machineCount: 1, isFirst: true)
        let thread = try StormThread(single, 0, sockets, progress, purpose)
        progress.begin()
        return try thread.join()
    }
}

/// A thread of the storm and what will come of it.
private struct StormThread {
    private let thread: RunningThread
    private let outcome: Outcome

    private final class Outcome: Sendable {
        let value = Mutex<Result<StormReport, StormError>?>(nil)
    }

    init(
        _ configuration: StormConfiguration, _ shard: Int, _ sockets: StormSockets,
        _ progress: StormProgress, _ purpose: StormShard.Purpose
    ) throws(StormError) {
        let outcome = Outcome()
        self.outcome = outcome
        do throws(StartError) {
            thread = try RunningThread("storm-\(shard)") {
                do throws(StormError) {
                    var shard = try StormShard(
                        configuration, index: shard, sockets: sockets, progress: progress,
                        purpose: purpose)
                    progress.awaitBeginning()
                    let report = try shard.run()
                    outcome.value.withLock { $0 = .success(report) }
                } catch {
                    outcome.value.withLock { $0 = .failure(error) }
                    progress.abort()
                }
            }
        } catch {
            throw .thread
        }
    }

    var hasEnded: Bool { thread.hasEnded }

    func join() throws(StormError) -> StormReport {
        thread.join()
        guard let result = outcome.value.withLock({ $0 }) else { throw .thread }
        return try result.get()
    }
}
