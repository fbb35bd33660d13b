internal import ArgumentParser
internal import Glibc
internal import TFTPCore
internal import TFTPNames
internal import TFTPReactor
internal import TFTPServing

/// `bootstorm trace`: follows one machine as it boots.
struct Trace: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Follow one machine's requests on a running server.",
        discussion: """
            Prints each request with the options asked and granted, refusals, repeats and how each transfer ends, until \
            interrupted. File content is never shown, and not in the pcap file either.

            Example: bootstorm trace 10.0.0.7 --pcap boot.pcap
            """)

    @Argument(
        help: ArgumentHelp("Address, network (10.0.0.0/24) or 'all'.", valueName: "client"))
    var client: String

    @Option(help: ArgumentHelp("Also write the packets' headers to a file.", valueName: "file"))
    var pcap: String?

    @Flag(help: "Print every packet, also DATA and ACK.")
    var packets = false

    @Option(help: ArgumentHelp("Seconds after which the trace ends.", valueName: "seconds"))
    var seconds: Int?

    @OptionGroup var control: ControlOption

    func validate() throws {
        if Network(text: client) == nil {
            throw ValidationError(
                "'\(client)' is not an address or a network. Give for instance 10.0.0.7 or 10.0.0.0/24."
            )
        }
        if let seconds, seconds < 1 { throw ValidationError("--seconds is 1 or more.") }
    }

    func run() throws {
        try reportingControlErrors {
            let file = try pcap.map { try PcapFile($0) }
            var narrator = TraceNarrator(showsAll: packets)
            let request = ControlRequest(
                verb: ControlRequest.Verb.trace.rawValue, client: client)
            if let seconds { alarm(UInt32(seconds)) }
            // The default of either ends the process; lines are out when they are printed.
            if seconds != nil { signal(SIGALRM) { _ in _exit(0) } }
            try control.ask(request) { reply in
                if let packet = reply.packet {
                    try file?.add(packet)
                    print(narrator.lines(for: packet))
                }
                if let record = reply.record { print(["                   = \(record)"]) }
                if let note = reply.note { StandardError.write("\(note)\n") }
                return true
            }
        }
    }

    private func print(_ lines: [String]) {
        for line in lines { StandardOutput.write(line + "\n") }
    }
}
