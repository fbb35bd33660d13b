internal import ArgumentParser
internal import SystemPackage
internal import TFTPClient

/// `bootstorm put`: a file from here to a server.
struct Put: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put a file on a TFTP server.",
        discussion: """
            Done when the server has acknowledged every block.

            Example: bootstorm put running-config 10.0.0.1/backups/switch-1

            \(TransferExit.help)
            """)

    @Argument(help: "Local file; '-' is standard input.", completion: .file())
    var file: String

    @Argument(
        help: .init(
            "Server and name there; without a name the file keeps its own.",
            valueName: "host[:port][/name]"))
    var target: RemoteFile

    @Option(
        help: .init(
            "Maximum wait for content from a pipe (default: as long as the server waits).",
            valueName: "seconds"))
    var sourcePatience: Double?

    @OptionGroup var transfer: TransferOptions

    /// What it will be called there.
    private var name: String {
        let isFolder = target.name.isEmpty || target.name.hasSuffix("/")
        return isFolder ? target.name + (FilePath(file).lastComponent?.string ?? "") : target.name
    }

    func validate() throws {
        if file == "-" && (target.name.isEmpty || target.name.hasSuffix("/")) {
            throw ValidationError("standard input has no name: give HOST[:PORT]/NAME")
        }
        try target.checkMode()
        _ = try options()
    }

    private func options() throws -> TFTPClient.Options {
        var options = try transfer.options()
        if let sourcePatience {
            guard TransferOptions.patienceRange.contains(sourcePatience) else {
                throw ValidationError("--source-patience is 0.001 to 3600.")
            }
            options.sourcePatience = .seconds(sourcePatience)
        }
        if let mode = target.mode { options.mode = mode }
        return options
    }

    func run() async throws {
        ignoreBrokenPipes()
        let path = file == "-" ? nil : FilePath(file)
        let options = try options()
        try await TransferRun.run(transfer, count: 1) { run in
            await run.transfer(name) { client, _, monitor in
                guard let path else {
                    return try await client.put(
                        contentsOf: .standardInput, as: name, to: try target.server,
                        options: options, monitor: monitor)
                }
                return try await client.put(
                    contentsOf: path, as: name, to: try target.server, options: options,
                    monitor: monitor)
            }
        }
    }
}
