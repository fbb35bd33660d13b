internal import ArgumentParser
internal import TFTPServer

/// `bootstorm rollback`: clients boot from an older snapshot again, in one step.
struct Rollback: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Go back to the snapshot before the current one, or to any.",
        discussion: """
            Clients that have begun to boot get the rest of their files from the snapshot that they began with. To go forward again, \
            name a newer snapshot; 'bootstorm publish --list' lists them.
            """)

    @Argument(help: "Snapshot to serve. (default: the one published before the current one)")
    var snapshot: String?

    @OptionGroup var tree: TreeOption

    func run() throws {
        try tree.run { snapshots throws(SnapshotError) in
            StandardOutput.write("current is \(try snapshots.rollBack(to: snapshot))\n")
        }
    }
}
