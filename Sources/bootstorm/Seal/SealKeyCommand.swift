internal import ArgumentParser
internal import TFTPSeal

/// `bootstorm seal-key`: a key for a key file.
struct SealKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seal-key",
        abstract: "Make a key for sealed transfers.",
        discussion: """
            Prints a line for a key file: an ID, which is sent in plain text, and 32 random bytes, which are secret. The first \
            key of a file seals requests; any key is accepted. Only nodes that share a key can exchange sealed files. To \
            change a key, append the new one everywhere, then move it to the first line everywhere, then remove the old one.

              (umask 077; bootstorm seal-key 2026-11 >>keys)
              bootstorm serve /srv/tftp --seal-key keys
              bootstorm get tftp://HOST/NAME --seal-key keys
            """)

    @Argument(help: "Its ID: 1 to 32 letters, digits, '-' and '_'.")
    var id: String

    func validate() throws {
        guard SealKey.random(id: id) != nil else {
            throw ValidationError(
                "'\(id)' is not a valid ID: 1 to 32 letters, digits, '-' and '_'.")
        }
    }

    func run() throws {
        guard let key = SealKey.random(id: id) else { return }
        StandardOutput.write("\(key.line)\n")
    }
}
