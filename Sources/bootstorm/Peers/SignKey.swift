internal import ArgumentParser
internal import FoundationEssentials
internal import TFTPPeer

/// `bootstorm sign-key`: a key for `serve --sign-key`.
struct SignKey: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a key that a node signs the list of its files with.",
        discussion: """
            Writes the key to a new file that only you can read, and prints the public key, which other nodes take with --trust. \
            If the file exists, prints its public key and does not change it.
            """)

    @Argument(help: "Key file to create or read.", completion: .file())
    var file: String

    func run() throws {
        let key: PeerNode.SigningKey
        if FileManager.default.fileExists(atPath: file) {
            key = try SecretFile(file).parsed { try PeerNode.SigningKey($0) }
        } else {
            key = PeerNode.SigningKey()
            try SecretFile.create(file, "\(key.text)\n")
        }
        StandardOutput.write("\(key.trusted.text)\n")
    }
}
