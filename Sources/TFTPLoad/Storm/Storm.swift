internal import Glibc
internal import Synchronization
package import SystemPackage
package import TFTPCore
internal import TFTPShard

/// Why there is no storm: one line that says what happened and what to do.
package enum StormError: Error, CustomStringConvertible {
    case noAnswer(Endpoint)
    case refused(name: String, code: UInt16)
    case tooLarge(name: String)
    case failed(name: String, cause: String)
    case name(String)
    case sockets(Errno)
    case ring(Errno)
    case thread

    package var description: String {
        switch self {
        case .noAnswer(let server):
            return "\(server) does not answer. Is a TFTP server listening there?"
        case .refused(let name, 1):
            return "the server has no file \"\(name)\". Name one that it has."
        case .refused(let name, let code):
            return "the server refuses \"\(name)\" with ERROR \(code)."
        case .tooLarge(let name):
            return
                "\"\(name)\" is larger than \(Storm.learnByteCountMax >> 30) GiB: too large to check."
        case .failed(let name, let cause):
            return "the first fetch of \"\(name)\" failed: \(cause)."
        case .name(let name):
            return
                "\"\(name)\" is no name for a file: at most \(MachineTable.nameByteCountMax) bytes, no NUL."
        case .sockets(let errno):
            return "cannot open the sockets: \(errno). Raise 'ulimit -n', or use fewer --clients."
        case .ring(let errno):
            return "cannot set up io_uring: \(errno)."
        case .thread:
            return "cannot start a thread."
        }
    }
}

extension StormError {
    /// Why nobody has got `name`.
    init(fetching name: String, from server: Endpoint, _ report: StormReport) {
        if let code = report.errorsByCode.keys.first {
            self = .refused(name: name, code: code)
        } else if report.packetsIn == 0 && !report.wasInterrupted {
            self = .noAnswer(server)
        } else {
            self = .failed(name: name, cause: report.causes.keys.first ?? "interrupted")
        }
    }
}

/// Thousands of simulated machines against one server, on threads of their own.
///
/// `run` once. `progress` and `interrupt` may be called from any thread meanwhile.
package final class Storm: Sendable {
    /// The largest file that is learned by fetching it.
    package static let learnByteCountMax = 4 << 30

    private let configuration: StormConfiguration
    private let interruption = StormBoard.Interruption()
    private let board = Mutex<StormBoard?>(nil)

    package init(_ configuration: StormConfiguration) {
        precondition(!configuration.files.isEmpty && !configuration.clients.isEmpty)
        self.configuration = configuration
    }

    /// Ends the storm; `run` returns what it has found so far.
    package func interrupt() { interruption.set() }

    /// How far the storm is; nil while the files are being learned.
    package var progress: StormProgress? { board.withLock { $0?.progress } }

    /// Learns every file that has no reference, then storms. Blocks until it is over.
    package func run() throws(StormError) -> StormReport {
        var configuration = configuration
        if configuration.asksInTurn {
            try learnAll(&configuration.files)
        } else if configuration.learnsReferences {
            for index in configuration.files.indices
            where configuration.files[index].reference == nil {
                configuration.files[index].reference = try learn(configuration.files[index].name)
            }
        }
        let board = StormBoard(interruption)
        self.board.withLock { $0 = board }
        let shards = try (0..<configuration.shardCount).map { (index) throws(StormError) in
            try Storm.start(configuration, index, board, isLearning: false)
        }
        var timeline = Timeline()
        while !shards.allSatisfy(\.thread.hasEnded) {
            usleep(20_000)
            let progress = board.progress
            if progress.seconds >= timeline.nextSeconds { timeline.note(progress) }
        }
        timeline.note(board.progress)
        var report = StormReport()
        for shard in shards {
            shard.thread.join()
            report.add(try shard.result.take())
        }
        report.timeline = timeline.moments
        report.wasInterrupted = interruption.isSet
        return report
    }

    /// A thread of the storm and what will come of it.
    private struct Running {
        let thread: RunningThread
        let result: Outcome
    }

    private final class Outcome: Sendable {
        private let value = Mutex<Result<StormReport, StormError>?>(nil)

        func put(_ result: Result<StormReport, StormError>) { value.withLock { $0 = result } }

        func take() throws(StormError) -> StormReport {
            guard let result = value.withLock({ $0 }) else { throw .thread }
            return try result.get()
        }
    }

    private static func start(
        _ configuration: StormConfiguration, _ index: Int, _ board: StormBoard, isLearning: Bool
    ) throws(StormError) -> Running {
        let outcome = Outcome()
        do throws(StartError) {
            let thread = try RunningThread("storm-\(index)") {
                do throws(StormError) {
                    var shard = try StormShard(
                        configuration, index: index, board: board, isLearning: isLearning)
                    outcome.put(.success(try shard.run()))
                } catch {
                    outcome.put(.failure(error))
                }
            }
            return Running(thread: thread, result: outcome)
        } catch {
            throw .thread
        }
    }

    /// Fetches `name` once, with one plain machine, to know what every other must get.
    private func learn(_ name: String) throws(StormError) -> Reference {
        let reference = Reference(capacity: Storm.learnByteCountMax)
        try learn([.init(name: name, weight: 1, reference: reference)])
        return reference
    }

    /// Fetches each file that has no reference once, all at the same time.
    private func learnAll(_ files: inout [StormConfiguration.File]) throws(StormError) {
        let unknown = files.indices.filter { files[$0].reference == nil }
        for index in unknown {
            files[index].reference = Reference(
                capacity: Storm.learnByteCountMax / unknown.count)
        }
        if !unknown.isEmpty { try learn(unknown.map { files[$0] }) }
    }

    private func learn(_ files: [StormConfiguration.File]) throws(StormError) {
        var learning = configuration
        learning.server = configuration.referenceServer ?? configuration.server
        learning.files = files
        learning.asksInTurn = true
        learning.clients = [.init(kind: .plain, share: 1)]
        learning.plain = .init()
        learning.plain.blksize = 1468
        learning.machineCount = files.count
        learning.ending = .transfers(files.count)
        learning.startsPerSecond = nil
        learning.rampSeconds = 0
        learning.shardCount = 1
        let running = try Storm.start(learning, 0, StormBoard(interruption), isLearning: true)
        running.thread.join()
        let report = try running.result.take()
        guard report.doneCount == files.count else {
            throw StormError(fetching: files[0].name, from: learning.server, report)
        }
    }
}
