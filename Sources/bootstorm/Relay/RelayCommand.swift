internal import ArgumentParser
internal import TFTPCore
internal import TFTPLoad
internal import TFTPReactor
internal import UnixSignals

/// `bootstorm relay`: emulates a lossy network in front of any TFTP server.
struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay",
        abstract: "Emulate a lossy network in front of a TFTP server.",
        discussion: """
            Clients send to the relay as if it were the server. Prints 'listening on ADDR:PORT' when it forwards packets, and \
            what it did to them when SIGINT or SIGTERM ends it. All clients share one link each way.
            """)

    @Option(help: .init("Address and port to listen on.", valueName: "addr:port"))
    var listen: String

    @Option(help: .init("Server to forward to.", valueName: "host:port"))
    var server: String

    @Option(help: Impairment.help, transform: Impairment.argument)
    var impair: Impairment

    @Option(help: .init("Seed of all random choices.", valueName: "number"))
    var seed: UInt64 = 1

    func validate() throws {
        guard Endpoint(text: listen, defaultPort: 69) != nil else {
            throw ValidationError("--listen \(listen): give ADDR:PORT, or :PORT for every address.")
        }
    }

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        do {
            let relay = try Relay(try relayConfiguration())
            let stopping = Task {
                for await _ in signals { relay.interrupt() }
            }
            defer { stopping.cancel() }
            StandardOutput.write("listening on \(relay.listening)\n")
            while !relay.hasEnded { try await Task.sleep(for: .milliseconds(50)) }
            let summary = RelaySummary(try relay.finish(), impair)
            StandardOutput.write(summary.lines.joined(separator: "\n") + "\n")
        } catch let error as RelayError {
            StandardError.write("bootstorm: \(error)\n")
            throw ExitCode.failure
        }
    }

    private func relayConfiguration() throws -> RelayConfiguration {
        guard let listen = Endpoint(text: listen, defaultPort: 69),
            let target = Endpoint(resolving: server, defaultPort: 69), target.port != 0,
            !target.address.isUnspecified, !target.address.isMulticastOrBroadcast
        else {
            StandardError.write("bootstorm: --server \(server): no such host. Give HOST:PORT.\n")
            throw ExitCode.failure
        }
        var configuration = RelayConfiguration(listen: listen, server: target, impairment: impair)
        configuration.seed = seed
        return configuration
    }
}
