internal import ArgumentParser
internal import TFTPSeal

/// `bootstorm seal-key`: a key for a key file.
struct SealKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seal-key",
        abstract: "Make a key for sealed transfers.",
        discussion: """
            Prints a line for a key file: an ID, which others see, and 32 random bytes, which only the nodes that are to \
            understand each other may know. In a file with several, the first is asked with and all are answered to; so \
            a new key goes behind the old one everywhere, then before it, and then the old one goes.

              (umask 077; bootstorm seal-key 2026-11 >>keys)
              bootstorm serve /srv/tftp --seal-key keys
              bootstorm get tftp://HOST/NAME --seal-key keys
            """)

    @Argument(help: "Its ID: 1 to 32 letters, digits, '-' and '_'.")
    var id: String

    func validate() throws {
        guard SealKey.random(id: id) != nil else {
            throw ValidationError("'\(id)' is no ID: 1 to 32 letters, digits, '-' and '_'.")
        }
    }

    func run() throws {
        guard let key = SealKey.random(id: id) else { return }
        StandardOutput.write("\(key.line)\n")
    }
}
