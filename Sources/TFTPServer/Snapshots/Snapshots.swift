internal import CLinux
internal import Glibc
internal import SystemPackage
internal import TFTPStore

extension TFTPServer {
    /// A tree of snapshots: folders that were published as a whole, one of which is current.
    ///
    ///     let snapshots = TFTPServer.Snapshots(root: "/srv/tftp")
    ///     let name = try snapshots.publish("/build/image")
    ///     try snapshots.rollBack()
    ///
    /// A server with `Configuration.snapshotHold` serves it. A snapshot is a folder `sets/NAME`
    /// below the root, and `current` a symbolic link to one. That is replaced in one step, so a
    /// client gets the old one or the new one, and a power failure leaves one of the two. Several
    /// processes may publish at once.
    ///
    /// Do not write to the content of a snapshot: publish another one. Its files and folders are
    /// world-readable, since every client may get them. All functions block on the disk.
    public struct Snapshots: Sendable {
        /// The folder that is served.
        public let root: String

        /// - Parameter root: an empty folder becomes a tree when something is published there.
        public init(root: String) { self.root = root }

        /// Whether a snapshot may have this name: 1 to 100 letters, digits and `._+-`, with a
        /// letter or digit first.
        public static func isName(_ name: String) -> Bool { SnapshotLayout.isName(name) }

        /// One that was published.
        public struct Snapshot: Sendable, Hashable {
            /// Its name.
            public let name: String
            /// When it was published, in nanoseconds since 1970. The next one has a later time,
            /// whatever the clock does.
            public let publishedNanoseconds: Int64
            /// Whether clients without a lease on another snapshot get it.
            public let isCurrent: Bool
        }

        /// What became of snapshots that were to be removed.
        public struct Pruned: Sendable, Hashable {
            /// They are gone.
            public internal(set) var removed: [String] = []
            /// They stay, because clients of a running server boot from them.
            public internal(set) var held: [String] = []
        }
    }
}

extension TFTPServer.Snapshots {
    /// All published snapshots, the newest first.
    ///
    /// - Throws: if the root is not a tree of snapshots.
    public func list() throws(SnapshotError) -> [Snapshot] {
        let tree = try openTree()
        return try list(in: tree)
    }

    /// Copies a folder into the tree and, unless told otherwise, makes the copy current.
    ///
    /// - Parameters:
    ///   - folder: what clients are to boot from. Symbolic links in it have to be relative and stay
    ///     inside.
    ///   - name: 1 to 100 letters, digits and `._+-`, a letter or digit first; nil takes the time,
    ///     such as `20261129T080500Z`.
    ///   - makesCurrent: false: clients get it once `rollBack` has made it current.
    /// - Returns: the name.
    /// - Throws: if the folder cannot be published or the name is taken. Then nothing has changed.
    @discardableResult
    public func publish(
        _ folder: String, as name: String? = nil, makesCurrent: Bool = true
    ) throws(SnapshotError) -> String {
        if let name { try check(name) }
        let source = try attempting("cannot publish \(folder)") { () throws(Errno) in
            try Directory(folder)
        }
        let treeKey = try attempting("cannot open \(root)") { () throws(Errno) in
            try Directory(root).key()
        }
        var copy = FolderCopy(of: folder, treeKey: treeKey)
        try copy.survey(source)
        let tree = try openTree(makes: true)
        if let name, try exists(name, in: tree) { throw isThere(name) }
        let hidden = hiddenName(.publishing)
        do throws(SnapshotError) {
            let made = try makeHidden(hidden, in: tree)
            try copy.copy(source, to: made)
            return try settle(
                made, hidden, as: name, makesCurrent: makesCurrent, in: tree)
        } catch {
            try? tree.sets.removeFolder(hidden)
            throw error
        }
    }

    /// Makes another snapshot current.
    ///
    /// - Parameter name: nil takes the one that was published before the current one.
    /// - Returns: the name.
    /// - Throws: if the snapshot does not exist. Then nothing has changed.
    @discardableResult
    public func rollBack(to name: String? = nil) throws(SnapshotError) -> String {
        if let name { try check(name) }
        let tree = try openTree()
        let key = try lock(tree)
        defer { withExtendedLifetime(key) {} }
        let all = try list(in: tree)
        if let name {
            guard all.contains(where: { $0.name == name }) else {
                throw SnapshotError("no snapshot '\(name)' in \(root). \(names(of: all))")
            }
            try makeCurrent(name, in: tree)
            return name
        }
        guard let current = all.firstIndex(where: \.isCurrent) else {
            throw SnapshotError("no snapshot is current in \(root). \(names(of: all))")
        }
        guard current + 1 < all.count else {
            throw SnapshotError(
                "'\(all[current].name)' is the oldest snapshot in \(root): there is none before it. \(names(of: all))"
            )
        }
        let previous = all[current + 1].name
        try makeCurrent(previous, in: tree)
        return previous
    }

    /// Removes old snapshots: all but the newest, the current one, and those that clients of a
    /// running server hold.
    ///
    /// - Parameter count: how many of the newest stay, 1 or more.
    @discardableResult
    public func prune(keeping count: Int) throws(SnapshotError) -> Pruned {
        precondition(count > 0)
        let tree = try openTree()
        var pruned = Pruned()
        var hidden: [String] = []
        do {
            let key = try lock(tree)
            defer { withExtendedLifetime(key) {} }
            for old in try list(in: tree).dropFirst(count) where !old.isCurrent {
                if let name = try hide(old.name, in: tree) {
                    hidden.append(name)
                    pruned.removed.append(old.name)
                } else {
                    pruned.held.append(old.name)
                }
            }
        }
        // Their names are gone, so this may take its time.
        for name in hidden {
            try attempting("cannot remove \(tree.path)/\(name)") { () throws(Errno) in
                try tree.sets.removeFolder(name)
            }
        }
        return pruned
    }

    /// Hides a snapshot under another name, unless a process has locked it; returns the hidden
    /// name.
    private func hide(
        _ name: String, in tree: borrowing Tree
    ) throws(SnapshotError) -> String? {
        try attempting("cannot remove \(tree.path)/\(name)") { () throws(Errno) in
            let folder = try tree.sets.folder(name)
            defer { withExtendedLifetime(folder) {} }
            guard folder.lockAtOnce() else { return nil }
            let hidden = hiddenName(.removing)
            try tree.sets.renameNew(name, to: hidden)
            try tree.sets.synchronise()
            return hidden
        }
    }

    // MARK: Switching

    /// Makes a folder for a new snapshot. It is locked, so that no other process removes it as a
    /// leftover.
    private func makeHidden(
        _ name: String, in tree: borrowing Tree
    ) throws(SnapshotError) -> Directory {
        let key = try lock(tree)
        defer { withExtendedLifetime(key) {} }
        removeRemains(in: tree)
        return try attempting("cannot make a folder in \(tree.path)") { () throws(Errno) in
            let made = try tree.sets.makeFolder(name)
            try made.lock()
            return made
        }
    }

    /// Gives what was copied its name, and makes it current if it is to be.
    private func settle(
        _ made: borrowing Directory, _ hidden: String, as name: String?, makesCurrent: Bool,
        in tree: borrowing Tree
    ) throws(SnapshotError) -> String {
        let key = try lock(tree)
        defer { withExtendedLifetime(key) {} }
        let all = try list(in: tree)
        var now = TFTPServer.Snapshots.now
        if let newest = all.first?.publishedNanoseconds { now = max(now, newest + 1000) }
        let free: String
        if let name { free = name } else { free = newName(at: now, all) }
        do throws(Errno) {
            try made.setModified(nanoseconds: now)
            try made.synchronise()
            // A server that starts to serve it needs a lock of its own. A process that removes
            // snapshots waits for the lock of the tree.
            try made.shareLock()
            try tree.sets.renameNew(hidden, to: free)
            try tree.sets.synchronise()
        } catch .fileExists {
            throw isThere(free)
        } catch {
            throw SnapshotError("cannot publish '\(free)' in \(root)", error)
        }
        guard makesCurrent else { return free }
        do throws(SnapshotError) {
            try makeCurrent(free, in: tree)
        } catch {
            try? tree.sets.renameNew(free, to: hidden)
            throw error
        }
        return free
    }

    private func makeCurrent(_ name: String, in tree: borrowing Tree) throws(SnapshotError) {
        try attempting("cannot make '\(name)' current in \(root)") { () throws(Errno) in
            let link = hiddenName(.switching)
            try tree.root.makeLink(link, to: "\(SnapshotLayout.sets)/\(name)")
            do throws(Errno) {
                try tree.root.rename(link, to: SnapshotLayout.current)
            } catch {
                try? tree.root.removeFile(link)
                throw error
            }
            try tree.root.synchronise()
        }
    }

    // MARK: The tree

    private struct Tree: ~Copyable {
        let root: Directory
        let sets: Directory
        let path: String
    }

    /// - Parameter makes: whether an empty folder may become a tree.
    private func openTree(makes: Bool = false) throws(SnapshotError) -> Tree {
        let path = "\(root)/\(SnapshotLayout.sets)"
        let folder = try attempting("cannot open \(root)") { () throws(Errno) in
            try Directory(root)
        }
        do throws(Errno) {
            if makes, try folder.names().isEmpty {
                // Another one may be publishing its first as well.
                try? folder.makeFolder(SnapshotLayout.sets).setMode(0o755)
            }
            let sets = try folder.folder(SnapshotLayout.sets)
            return Tree(root: folder, sets: sets, path: path)
        } catch .noSuchFileOrDirectory {
            throw SnapshotError(
                "\(root) is not a tree of snapshots: it has no folder '\(SnapshotLayout.sets)'. Publish into an empty folder, or create that folder."
            )
        } catch {
            throw SnapshotError("cannot open \(path)", error)
        }
    }

    /// Excludes other processes that switch, until the returned value goes.
    private func lock(_ tree: borrowing Tree) throws(SnapshotError) -> Directory {
        try attempting("cannot lock \(tree.path)") { () throws(Errno) in
            // Opened once more, because a lock goes with the descriptor.
            let sets = try tree.root.folder(SnapshotLayout.sets)
            try sets.lock()
            return sets
        }
    }

    private func list(in tree: borrowing Tree) throws(SnapshotError) -> [Snapshot] {
        try attempting("cannot list \(tree.path)") { () throws(Errno) in
            let current = try TFTPServer.Snapshots.current(in: tree)
            var all: [Snapshot] = []
            for name in try tree.sets.names() where SnapshotLayout.isName(name) {
                guard try tree.sets.kind(of: name) == .folder else { continue }
                all.append(
                    Snapshot(
                        name: name,
                        publishedNanoseconds: try tree.sets.folder(name).modifiedNanoseconds(),
                        isCurrent: name == current))
            }
            return all.sorted {
                ($0.publishedNanoseconds, $0.name) > ($1.publishedNanoseconds, $1.name)
            }
        }
    }

    private static func current(in tree: borrowing Tree) throws(Errno) -> String? {
        guard try tree.root.kind(of: SnapshotLayout.current) == .link else { return nil }
        return SnapshotLayout.name(linked: try tree.root.target(of: SnapshotLayout.current))
    }

    private func exists(_ name: String, in tree: borrowing Tree) throws(SnapshotError) -> Bool {
        try attempting("cannot look at \(tree.path)/\(name)") { () throws(Errno) in
            try tree.sets.kind(of: name) != nil
        }
    }

    /// Removes what interrupted processes have left. A failure does not prevent publishing.
    private func removeRemains(in tree: borrowing Tree) {
        guard let names = try? tree.sets.names() else { return }
        for name in names
        where SnapshotLayout.Hidden.allCases.contains(where: { name.hasPrefix($0.rawValue) }) {
            guard let folder = try? tree.sets.folder(name), folder.lockAtOnce() else { continue }
            try? tree.sets.removeFolder(name)
            withExtendedLifetime(folder) {}
        }
    }

    // MARK: Names

    private func check(_ name: String) throws(SnapshotError) {
        guard SnapshotLayout.isName(name) else {
            throw SnapshotError(
                "'\(name)' is not a valid snapshot name: 1 to 100 letters, digits and '._+-', a letter or digit first."
            )
        }
    }

    private func isThere(_ name: String) -> SnapshotError {
        SnapshotError(
            "there is a snapshot '\(name)' already in \(root), and none is ever changed. Give another name."
        )
    }

    private func names(of all: [Snapshot]) -> String {
        guard !all.isEmpty else { return "Nothing was published yet." }
        return "There are: \(all.map(\.name).joined(separator: ", "))."
    }

    private func hiddenName(_ kind: SnapshotLayout.Hidden) -> String {
        kind.rawValue + String(clinux_random(), radix: 16)
    }

    private static var now: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// The time as a name, with a number behind it where that is taken: a higher one than any has,
    /// for those that were removed since are names of other content.
    private func newName(at nanoseconds: Int64, _ all: [Snapshot]) -> String {
        let base = SnapshotTime.name(nanoseconds)
        let numbers = all.compactMap { snapshot -> Int? in
            if snapshot.name == base { return 1 }
            guard snapshot.name.hasPrefix(base + "-") else { return nil }
            return Int(snapshot.name.dropFirst(base.count + 1))
        }
        guard let last = numbers.max(), last < Int.max else { return base }
        return "\(base)-\(last + 1)"
    }
}
