internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc
internal import Logging
internal import SystemPackage
internal import TFTPClient
internal import TFTPPeer
internal import UnixSignals

/// `bootstorm get`: files from a server to here.
struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Get files from a TFTP server.",
        discussion: """
            Each file is written to a temporary file and renamed when it is complete and verified. Several files are \
            fetched at once.

            Example: bootstorm get tftp://10.0.0.1/boot/vmlinuz 10.0.0.1/boot/initrd -o downloads/

            \(TransferExit.help)
            """)

    @Argument(
        help: .init("Files to get; tftp:// in front is optional.", valueName: "host[:port]/name"))
    var files: [RemoteFile]

    @Option(
        name: .shortAndLong,
        help: .init(
            "File, folder (ends in '/' or exists), or '-' for standard output.",
            valueName: "path"),
        completion: .file())
    var output: String?

    @Flag(help: "Create the missing folders of the output path.")
    var createDirs = false

    @Option(help: .init("Expected SHA-256, 64 hexadecimal digits; for one file.", valueName: "hex"))
    var sha256: Digest?

    @Option(help: .init("Maximum size to accept, for instance 4G.", valueName: "bytes"))
    var sizeMax: ByteCount?

    @Option(
        help: .init(
            "Get a part: its first byte, for instance 512M; for one file.", valueName: "bytes"))
    var offset: ByteCount?

    @Option(
        help: .init("Get a part: its length from --offset on; for one file.", valueName: "bytes"))
    var length: ByteCount?

    @Flag(
        help:
            "Fetch from all nodes that the named node knows and that have the file; verify each part."
    )
    var peers = false

    @Option(
        help: .init(
            "With --peers: accept only files signed by this public key; repeatable.",
            valueName: "key"),
        transform: { try PeerNode.TrustedKey($0) })
    var trust: [PeerNode.TrustedKey] = []

    @OptionGroup var transfer: TransferOptions

    func validate() throws {
        guard !files.isEmpty else { throw ValidationError("Name a file: HOST/NAME.") }
        for file in files where file.name.isEmpty || file.lastComponent.isEmpty {
            throw ValidationError(
                "'\(file.host)/\(file.name)' has no file name: give HOST[:PORT]/NAME")
        }
        for file in files { try file.checkMode() }
        if files.count > 1, let output, !isFolder(output) {
            throw ValidationError("several files need a folder: -o DIR/")
        }
        let names = files.map(\.lastComponent)
        guard Set(names).count == names.count else {
            throw ValidationError("Two of the files would have the same name here.")
        }
        if files.count > 1, sha256 != nil { throw ValidationError("--sha256 is for one file.") }
        if files.count > 1, offset != nil || length != nil {
            throw ValidationError("--offset and --length are for one file.")
        }
        if output == "-", transfer.json {
            throw ValidationError("--json and '-o -' both write to standard output")
        }
        _ = try transfer.options()
        guard peers else {
            if !trust.isEmpty { throw ValidationError("--trust is for --peers.") }
            return
        }
        // What nodes say to each other is their own affair.
        let isPartial = offset != nil || length != nil
        if sha256 != nil || sizeMax != nil || isPartial || transfer.isSpecial {
            throw ValidationError(
                "--peers takes no other flags than -o, --trust, --seal-key and --quiet.")
        }
    }

    func run() async throws {
        ignoreBrokenPipes()
        if peers { return try await runWithPeers() }
        try await TransferRun.run(transfer, count: files.count) { run in
            try await withThrowingTaskGroup(of: Int32.self) { group in
                var rest = files[...]
                for file in rest.prefix(TransferRun.transfersMax) {
                    group.addTask { await get(file, run) }
                }
                rest = rest.dropFirst(TransferRun.transfersMax)
                var first: Int32 = 0
                while let code = try await group.next() {
                    if first == 0 { first = code }
                    if let file = rest.popFirst() { group.addTask { await get(file, run) } }
                }
                return first
            }
        }
    }

    private func runWithPeers() async throws {
        LogLevel.configure(.warning)
        LoggingSystem.bootstrap { _ in LineLogHandler(format: .text) }
        let group = GroupGet(
            trust: trust, sealKeys: try transfer.seal.keys(), isQuiet: transfer.quiet)
        var first: Int32 = 0
        for file in files {
            let code = await group.get(file, to: path(for: file))
            if first == 0 { first = code }
        }
        if first != 0 { throw ExitCode(first) }
    }

    /// Gets one file. Returns an exit code.
    private func get(_ file: RemoteFile, _ run: TransferRun) async -> Int32 {
        await run.transfer(file.name) { client, options, monitor in
            var options = options
            options.sha256 = sha256?.bytes
            if let mode = file.mode { options.mode = mode }
            if let offset { options.offset = UInt64(offset.value) }
            options.length = length.map { UInt64($0.value) }
            if let sizeMax { options.sizeMax = UInt64(sizeMax.value) }
            let server = try file.server
            if createDirs { try createFolder(for: file) }
            guard let path = path(for: file) else {
                return try await client.get(
                    file.name, from: server, to: .standardOutput, options: options,
                    monitor: monitor)
            }
            return try await client.get(
                file.name, from: server, to: path, options: options, monitor: monitor)
        }
    }

    /// Creates what is missing of the folders that the file goes to.
    private func createFolder(for file: RemoteFile) throws {
        guard let path = path(for: file) else { return }
        let folder = path.removingLastComponent().string
        guard !folder.isEmpty else { return }
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw TFTPClient.Failure.file(
                path: folder, problem: "cannot be created: \(failureReason(error))")
        }
    }

    /// nil for standard output.
    private func path(for file: RemoteFile) -> FilePath? {
        guard let output else { return FilePath(file.lastComponent) }
        if output == "-" { return nil }
        return isFolder(output)
            ? FilePath(output).appending(file.lastComponent) : FilePath(output)
    }

    private func isFolder(_ path: String) -> Bool {
        if path.hasSuffix("/") { return true }
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}

/// A SHA-256 in hexadecimal digits.
struct Digest: ExpressibleByArgument {
    var bytes: [UInt8]

    init?(argument: String) {
        let digits = Array(argument.utf8)
        guard digits.count == 64 else { return nil }
        bytes = []
        for index in stride(from: 0, to: 64, by: 2) {
            let pair = String(decoding: digits[index...(index + 1)], as: UTF8.self)
            guard let value = UInt8(pair, radix: 16), !pair.hasPrefix("+") else { return nil }
            bytes.append(value)
        }
    }
}
