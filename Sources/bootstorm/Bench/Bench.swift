internal import ArgumentParser

/// `bootstorm bench`: a storm of simulated boot clients, and two reports of storms side by side.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Storm a TFTP server with simulated boot clients.",
        discussion: """
            bootstorm bench tftp://127.0.0.1:6969/demo.bin --clients 1000 --client ipxe:3 --client grub
            bootstorm bench compare before.json after.json
            """,
        subcommands: [BenchRun.self, BenchCompare.self], defaultSubcommand: BenchRun.self)
}
