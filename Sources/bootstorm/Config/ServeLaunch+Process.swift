internal import ArgumentParser
internal import FoundationEssentials
internal import Synchronization

extension ServeLaunch {
    /// How this process was started, and the configuration that it began with; nil unless `serve`
    /// runs.
    static let ofThisProcess = Mutex<(launch: ServeLaunch, loaded: Loaded)?>(nil)

    /// The command that the arguments of this process name. For `serve` the environment and the
    /// file are read as well.
    ///
    /// - Throws: what ArgumentParser throws. An error of the configuration has been told by then.
    static func parseCommand() throws -> any ParsableCommand {
        let arguments = Array(ProcessArguments.all.dropFirst())
        let asksForHelp = arguments.contains { ["--help", "-h", "--version"].contains($0) }
        guard arguments.first == "serve", !asksForHelp else {
            return try Bootstorm.command(of: arguments)
        }
        let launch = ServeLaunch(
            arguments: Array(arguments.dropFirst()),
            environment: ProcessInfo.processInfo.environment)
        do {
            let (serve, loaded) = try launch.parse()
            ofThisProcess.withLock { $0 = (launch, loaded) }
            return serve
        } catch let errors as ConfigurationErrors {
            StandardError.write("\(errors)\n")
            throw ExitCode.failure
        }
    }
}
