internal import ArgumentParser
internal import TFTPReactor
internal import TFTPServer

/// What is refused before the process has a second thread, because the limits of this machine leave
/// it no room.
extension Serve {
    /// The log, the signals, the main process, the control socket, and those that Swift's tasks run
    /// on at the least.
    private static let otherThreadCount = 7

    /// Starts the threads that wait for signals, before any task runs: whatever else hangs, the
    /// process can be ended.
    func startSignals(
        _ signals: ServiceSignals, _ manager: ServiceManager,
        _ configuration: TFTPServer.Configuration
    ) throws {
        do {
            try TFTPServer.prepareThreads(
                of: configuration, othersCount: Serve.otherThreadCount)
            try signals.start(mainFile: manager.mainFile)
        } catch {
            StandardError.write("bootstorm: \(error)\n")
            throw ExitCode.failure
        }
    }

    /// Refuses a number of sockets that is none: what passes them expects to be listened on there.
    func checkPassedSockets(_ environment: ServiceEnvironment) throws {
        guard let count = environment.invalidSocketCount else { return }
        StandardError.write("bootstorm: LISTEN_FDS is \(count): it takes a number of 1 to 256\n")
        throw ExitCode.failure
    }

    /// Refuses what this machine, or the control group, has too little memory for.
    func checkMemory(_ configuration: TFTPServer.Configuration) throws {
        let plan = MemoryPlan(
            cache: configuration.cacheSize, shards: configuration.shards,
            fetches: peers.fetches, takesUploads: upload != .deny)
        guard let problem = plan.problem else { return }
        StandardError.write("bootstorm: \(problem)\n")
        throw ExitCode.failure
    }
}
