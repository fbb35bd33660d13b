internal import ArgumentParser
internal import FoundationEssentials
internal import TFTPPeer
internal import TFTPServer

/// `bootstorm publish`: a folder becomes what clients boot from, in one step.
struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publish a folder as a snapshot.",
        discussion: """
            Copies the folder into a tree of snapshots and makes the copy current, in one step: a running 'bootstorm serve --snapshots' \
            gives it to every client that begins to boot from then on, and clients that have begun get the rest of their files \
            from the snapshot that they began with. An empty folder becomes a tree at the first time.

              bootstorm publish build/image --to /srv/tftp
              bootstorm serve /srv/tftp --snapshots
              bootstorm publish build/image --to /srv/tftp --keep 5
              bootstorm rollback --to /srv/tftp
              bootstorm publish build/image --to s3://boot-images/ --name monday
            """)

    @Argument(help: "Folder that clients boot from.", completion: .directory)
    var folder: String?

    @OptionGroup var tree: TreeOption

    @Flag(
        help: """
            Publish for nodes to fetch by digest: --to is a folder that a web server serves, and gets blobs/sha256/ and index/NAME. \
            Implied if --to is s3://BUCKET[/PREFIX].
            """)
    var content = false

    @Option(
        help: .init("File with the key to sign the index with; see 'sign-key'.", valueName: "file"))
    var signKey: String?

    @OptionGroup(title: "S3") var access: OriginOptions

    @Option(
        help: .init(
            "Name of the snapshot: letters, digits and '._+-'. (default: the time)",
            valueName: "name"))
    var name: String?

    @Option(
        help: .init(
            "Keep only this number of the newest snapshots, and those in use.", valueName: "count")
    )
    var keep: Int?

    @Flag(
        help:
            "Publish without serving it. Implied in the folder of a fleet's node, where 'bootstorm fleet promote' has it served."
    )
    var stage = false

    @Flag(help: "List the snapshots, the newest first, and publish nothing.")
    var list = false

    func validate() throws {
        guard !list else {
            guard folder == nil, name == nil, keep == nil, !stage else {
                throw ValidationError("--list takes no other flag than --to.")
            }
            return
        }
        guard folder != nil else {
            throw ValidationError("Give the folder to publish, or --list.")
        }
        if isContent, name == nil || keep != nil {
            throw ValidationError("--content needs --name and excludes --keep.")
        }
        if isContent, stage {
            throw ValidationError("--stage is for a folder; --content is not served by itself.")
        }
        if let keep, keep < 1 {
            throw ValidationError("--keep takes a number of snapshots, 1 or more.")
        }
    }

    private var isContent: Bool { content || tree.to.lowercased().hasPrefix("s3://") }

    func run() async throws {
        if isContent, let folder, let name { return try await publish(folder, as: name) }
        try tree.run { snapshots throws(SnapshotError) in
            guard let folder else { return try show(snapshots.list()) }
            // What a node of a fleet serves is for the fleet to say.
            let isStaged = stage || FleetNodeOptions.isNode(root: tree.to)
            let name = try snapshots.publish(folder, as: name, makesCurrent: !isStaged)
            StandardOutput.write("published \(name)\(isStaged ? ", not served yet" : "")\n")
            guard let keep else { return }
            let pruned = try snapshots.prune(keeping: keep)
            for name in pruned.removed { StandardOutput.write("removed \(name)\n") }
            for name in pruned.held {
                StandardError.write("bootstorm: \(name) is kept: clients boot from it\n")
            }
        }
    }

    private func publish(_ folder: String, as name: String) async throws {
        do {
            let isBucket = tree.to.lowercased().hasPrefix("s3://")
            let publisher = try ContentPublisher(
                isBucket ? .bucket(tree.to) : .folder(tree.to),
                access: try access.access(environment: ProcessInfo.processInfo.environment),
                key: try signKey.map { file in
                    try SecretFile(file).parsed { try PeerNode.SigningKey($0) }
                })
            let count = try await publisher.publish(folder, as: name)
            StandardOutput.write("published \(name): \(count.files) files, \(count.sent) new\n")
        } catch let error where !(error is ValidationError) {
            StandardError.write("bootstorm: \(error)\n")
            throw ExitCode.failure
        }
    }

    private func show(_ all: [TFTPServer.Snapshots.Snapshot]) {
        for snapshot in all {
            let time = SnapshotTime.line(snapshot.publishedNanoseconds)
            let mark = snapshot.isCurrent ? "*" : " "
            StandardOutput.write("\(mark) \(time)  \(snapshot.name)\n")
        }
    }
}

/// Which tree of snapshots is meant.
struct TreeOption: ParsableArguments {
    @Option(
        help: .init(
            "Folder that is served with --snapshots, or s3://BUCKET[/PREFIX].", valueName: "dir"),
        completion: .directory)
    var to = "."

    /// Writes an error to standard error and ends with `ExitCode.failure`.
    func run(_ body: (TFTPServer.Snapshots) throws(SnapshotError) -> Void) throws {
        do throws(SnapshotError) {
            try body(TFTPServer.Snapshots(root: to))
        } catch {
            StandardError.write("bootstorm: \(error)\n")
            throw ExitCode.failure
        }
    }
}
