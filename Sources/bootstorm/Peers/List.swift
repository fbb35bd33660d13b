internal import ArgumentParser
internal import FoundationEssentials
internal import TFTPClient
internal import TFTPPeer
internal import TFTPServer

/// `bootstorm ls`: what a node has.
struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List the files of a node.",
        discussion: """
            TFTP itself has no listings: the server must be a Bootstorm with --share, --peer or --origin. Files that it has not read \
            yet are not in the list. Prints the size in bytes, the time of the last change, the digest of the parts, and the name.
            """)

    @Argument(help: "tftp://HOST[:PORT]/[FOLDER] or HOST[:PORT][/FOLDER].")
    var node: NodeURL

    @Flag(help: "Print one JSON object per line.")
    var json = false

    @Option(
        help: .init("Require a signature by this public key; repeatable.", valueName: "public-key"),
        transform: { try PeerNode.TrustedKey($0) })
    var trust: [PeerNode.TrustedKey] = []

    @OptionGroup var seal: SealKeyOption

    func validate() throws { _ = try seal.keys() }

    func run() async throws {
        let text = try await node.text(
            Listing.name, byteCountMax: Listing.byteCountMax, sealKeys: try seal.keys())
        guard let listing = Listing(text) else { throw NodeURL.isNoNode(node.host) }
        guard trust.isEmpty || Listing.isSigned(text, by: trust) else {
            StandardError.write("bootstorm: no trusted signature on the list of \(node.host)\n")
            throw ExitCode(TransferExit.verificationFailed)
        }
        for file in listing.files where file.name.hasPrefix(node.folder) {
            StandardOutput.write(json ? try line(file) : row(file))
        }
    }

    private func row(_ file: Listing.File) -> String {
        let size = String(file.size)
        let padding = String(repeating: " ", count: max(0, 12 - size.count))
        return
            "\(padding)\(size)  \(timestamp(file.modifiedSeconds))  \(file.root.prefix(12))  \(file.name)"
            .inOneLine
            + "\n"
    }

    private func line(_ file: Listing.File) throws -> String {
        try Row(
            name: file.name, size: file.size, modified: timestamp(file.modifiedSeconds),
            root: file.root
        ).jsonLine
    }

    private struct Row: Encodable {
        let name: String
        let size: UInt64
        let modified: String
        let root: String
    }
}

/// A node, and a folder there.
struct NodeURL: ExpressibleByArgument {
    /// HOST[:PORT].
    let host: String
    /// Empty, or with a slash at its end.
    let folder: String

    init?(argument: String) {
        let hasName = argument.split(separator: "://").last?.contains("/") == true
        guard let remote = RemoteFile(argument: hasName ? argument : argument + "/") else {
            return nil
        }
        host = remote.host
        folder = remote.name.isEmpty || remote.name.hasSuffix("/") ? remote.name : remote.name + "/"
    }

    /// What the node has under a name of its own; says on standard error what is wrong, and throws
    /// an exit code.
    func text(
        _ name: String, byteCountMax: Int, sealKeys: TFTPClient.SealKeys?
    ) async throws -> String {
        do {
            var options = TFTPClient.Options()
            options.patience = .seconds(5)
            options.sealKeys = sealKeys
            let client = try TFTPClient(transfersMax: 1)
            let download = try await client.get(
                name, from: try TFTPClient.Server(host), options: options, sizeMax: byteCountMax)
            return String(decoding: download.bytes, as: UTF8.self)
        } catch TFTPClient.Failure.notFound {
            throw NodeURL.isNoNode(host)
        } catch {
            StandardError.write("bootstorm: \(host): \(error)\n")
            throw ExitCode(TransferExit.code(error))
        }
    }

    /// Reports that the host does not answer as a node.
    static func isNoNode(_ host: String) -> ExitCode {
        StandardError.write(
            "bootstorm: \(host) does not list its files: it is not a node, or serves without --share, --peer or --origin\n"
        )
        return ExitCode(TransferExit.notFound)
    }
}
