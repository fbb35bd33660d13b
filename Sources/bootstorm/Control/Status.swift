internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc
internal import TFTPCore
internal import TFTPNames
internal import TFTPReactor
internal import TFTPServer
internal import TFTPServing

/// `bootstorm status`.
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the transfers and counters of a running server.",
        discussion: """
            With CLIENT: only the transfers and problems of that machine or network.

            Example: bootstorm status --watch
            """)

    @Argument(help: ArgumentHelp("Address or network to look at.", valueName: "client"))
    var client: String?

    @Flag(help: "Show it again every second until interrupted.")
    var watch = false

    @Flag(help: "Print JSON, one line each time.")
    var json = false

    @Option(help: ArgumentHelp("Running transfers to show.", valueName: "count"))
    var rows = 40

    @OptionGroup var control: ControlOption

    func validate() throws {
        if let client, Network(text: client) == nil {
            throw ValidationError(
                "'\(client)' is not an address or a network. Give for instance 10.0.0.7 or 10.0.0.0/24."
            )
        }
        if !(0...65_536).contains(rows) { throw ValidationError("--rows is 0 to 65536.") }
    }

    func run() throws {
        try reportingControlErrors {
            repeat {
                try show()
                if watch { sleep(1) }
            } while watch
        }
    }

    private func show() throws {
        // All of them, where one machine's are looked for.
        let rowsMax = client == nil ? rows : 65_536
        let request = ControlRequest(verb: ControlRequest.Verb.status.rawValue, rowsMax: rowsMax)
        guard var status = try control.answer(to: request).status else { throw ControlError.ended }
        if let network = client.flatMap({ Network(text: $0) }) { status.keep(only: network) }
        if json { return StandardOutput.write(try text(status) + "\n") }
        let lines =
            client.map { StatusText.clientLines(status, of: $0) } ?? StatusText.lines(status)
        let clear = watch && isatty(STDOUT_FILENO) != 0 ? "\u{1B}[H\u{1B}[2J" : ""
        StandardOutput.write(clear + lines.joined(separator: "\n") + "\n")
    }

    private func text(_ status: ServerStatus) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(status), as: UTF8.self)
    }
}

extension ServerStatus {
    /// Leaves out what is about other clients.
    mutating func keep(only network: Network) {
        running = running.filter { row in
            guard let peer = Endpoint(text: row.client, defaultPort: 0) else { return false }
            return network.contains(peer.address)
        }
        problems = problems.filter { problem in
            guard let peer = Endpoint(text: problem.client, defaultPort: 0) else { return false }
            return network.contains(peer.address)
        }
    }
}
