internal import ArgumentParser
internal import CVersion
internal import Dispatch
internal import Synchronization

/// A TFTP server for the moment when every machine boots at once.
@main
struct Bootstorm: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bootstorm",
        abstract: "A TFTP server for the moment when every machine boots at once.",
        discussion: TransferExit.help,
        version: version,
        subcommands: [
            Serve.self, Check.self, Status.self, Trace.self, Reload.self, Import.self,
            Publish.self, Rollback.self, Get.self, Put.self, SealKeyCommand.self, MapTest.self,
            Bench.self, Tune.self, RelayCommand.self, List.self, Peers.self, SignKey.self,
            Doctor.self,
            Fleet.self,
        ])

    /// Of the git tag that it was built from, where the build says it.
    ///
    /// The text is the program's own, and stays.
    static let version = unsafe String(cString: bootstorm_version())

    /// Not async: what `serve` does before the process has other threads is done here.
    static func main() {
        ServiceSignals.hold()
        occupyStandardFiles()
        var isServer = false
        do {
            let command = Parsed(try ServeLaunch.parseCommand())
            if let serve = command.command as? Serve {
                let prepared = try serve.prepare()
                Serve.prepared.withLock { $0 = prepared }
                isServer = true
            } else {
                ServiceSignals.release()
            }
            Task.detached { await command.run() }
        } catch {
            finish(error)
        }
        // Dispatch's main thread would take the signals that `ServiceSignals` waits for.
        if isServer { DispatchSemaphore(value: 0).wait() }
        dispatchMain()
    }

    /// The command that `arguments`, without the program's name, ask for.
    static func command(of arguments: [String]) throws -> any ParsableCommand {
        try CommandNames.check(arguments)
        return try parseAsRoot(arguments)
    }

    /// Ends the process: with what was asked for on standard output (help, a version, a completion
    /// script), or with one line that says what is wrong.
    fileprivate static func finish(_ error: any Error) -> Never {
        guard exitCode(for: error) != .success else { exit(withError: error) }
        let command = CommandNames.path(of: Array(CommandLine.arguments.dropFirst()))
        let text = UsageError.line(of: fullMessage(for: error), command: command)
        if !text.isEmpty { StandardError.write("bootstorm: \(text)\n") }
        endProcess(exitCode(for: error).rawValue)
    }
}

/// A command on its way to the task that runs it.
///
/// @unchecked because of the command, which is handed over once and not looked at by anybody else
/// then.
private final class Parsed: @unchecked Sendable {
    fileprivate var command: any ParsableCommand

    init(_ command: any ParsableCommand) { self.command = command }

    func run() async {
        do {
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            // A result of which a part is missing is none.
            if let failure = StandardOutput.failure {
                StandardError.write("bootstorm: cannot write standard output: \(failure)\n")
                throw ExitCode.failure
            }
            Bootstorm.exit()
        } catch {
            Bootstorm.finish(error)
        }
    }
}
