internal import CLinux
internal import SystemPackage
internal import TFTPStore

/// Copies a folder that is to be published: first a look at all of it, then the content.
struct FolderCopy {
    let source: String
    /// The tree's own folder, which must not be within what is published.
    let treeKey: Directory.Key
    private(set) var fileCount = 0

    /// Names that have another meaning for the server of the snapshot.
    private static let topNamesTaken: Set<String> = [SnapshotLayout.sets, ".bootstorm"]
    /// The longest that a client can ask for.
    private static let pathByteCountMax = FileName.byteCountMax

    init(of source: String, treeKey: Directory.Key) {
        self.source = source
        self.treeKey = treeKey
    }

    // MARK: Looking

    /// Whether all of it can be published.
    mutating func survey(_ folder: borrowing Directory) throws(SnapshotError) {
        try survey(folder, "", folder)
        guard fileCount > 0 else {
            throw SnapshotError(
                "\(source) has no files. Give the folder that clients boot from.")
        }
    }

    private mutating func survey(
        _ folder: borrowing Directory, _ path: String, _ top: borrowing Directory
    ) throws(SnapshotError) {
        guard try key(of: folder, path) != treeKey else {
            throw SnapshotError(
                "\(text(path)) is the tree to publish into. Give a folder outside of it.")
        }
        for name in try names(in: folder, path) {
            let inner = path.isEmpty ? name : "\(path)/\(name)"
            guard !path.isEmpty || !FolderCopy.topNamesTaken.contains(name) else {
                throw SnapshotError(
                    "\(text(inner)) has a name that is reserved at the top of a snapshot. Rename it."
                )
            }
            guard inner.utf8.count <= FolderCopy.pathByteCountMax else {
                throw SnapshotError(
                    "\(text(inner)) has a longer name than clients can ask for. Shorten it.")
            }
            switch try kind(of: name, in: folder, inner) {
            case .folder: try survey(try open(name, in: folder, inner), inner, top)
            case .file: fileCount += 1
            case .link: try checkLink(inner, top)
            case .other:
                throw SnapshotError(
                    "\(text(inner)) is not a file, folder or link. Remove it, and publish again.")
            }
        }
    }

    /// Links are judged as the server will resolve them. One that leads nowhere leads nowhere out.
    private func checkLink(_ path: String, _ top: borrowing Directory) throws(SnapshotError) {
        let result = unsafe clinux_open_beneath(
            top.descriptor, path, clinux_flags_path(), 0, UInt64(CLINUX_RESOLVE_BENEATH))
        if result >= 0 { clinux_close(result) }
        guard Errno(rawValue: -result) != .improperLink else {
            throw SnapshotError(
                "the link \(text(path)) leads out of \(source), where no client would get. Make it a relative one that stays inside, or a copy."
            )
        }
    }

    // MARK: Copying

    /// Makes `target` the same, on the disk when this returns.
    func copy(
        _ folder: borrowing Directory, to target: borrowing Directory, _ path: String = ""
    ) throws(SnapshotError) {
        for name in try names(in: folder, path) {
            let inner = path.isEmpty ? name : "\(path)/\(name)"
            switch try kind(of: name, in: folder, inner) {
            case .folder:
                let made = try attempting("cannot make a copy of \(text(inner))") {
                    () throws(Errno) in try target.makeFolder(name)
                }
                try copy(try open(name, in: folder, inner), to: made, inner)
            case .file: try copyFile(name, in: folder, to: target, inner)
            case .link:
                try attempting("cannot copy the link \(text(inner))") { () throws(Errno) in
                    try target.makeLink(name, to: try folder.target(of: name))
                }
            case .other: throw changed(inner)
            }
        }
        // The server may run as another user, and every client may read the file anyway.
        try attempting("cannot write to the copy of \(text(path))") { () throws(Errno) in
            try target.setMode(0o755)
            try target.synchronise()
        }
    }

    private func copyFile(
        _ name: String, in folder: borrowing Directory, to target: borrowing Directory,
        _ path: String
    ) throws(SnapshotError) {
        let isWhole = try attempting("cannot copy \(text(path))") { () throws(Errno) in
            let file = try folder.file(name)
            let before = try file.status()
            guard before.is_regular else { return false }
            let copy = try target.makeFile(name)
            try copy.copy(file, modifiedNanoseconds: before.modified_ns)
            let after = try file.status()
            let written = try copy.status().byte_count
            return before.changed_ns == after.changed_ns && before.byte_count == after.byte_count
                && written == after.byte_count
        }
        guard isWhole else { throw changed(path) }
    }

    // MARK: Names

    private func changed(_ path: String) -> SnapshotError {
        SnapshotError(
            "\(text(path)) was written to while it was copied. Publish again when it is done.")
    }

    private func text(_ path: String) -> String { path.isEmpty ? source : "\(source)/\(path)" }

    /// All names but those of unfinished uploads, which clients cannot get.
    private func names(
        in folder: borrowing Directory, _ path: String
    ) throws(SnapshotError) -> [String] {
        do throws(Errno) {
            return try folder.names().filter {
                !$0.lowercased().hasPrefix("\(FileName.uploadPrefix)")
            }
        } catch .illegalByteSequence {
            throw SnapshotError("a name in \(text(path)) is not UTF-8. Rename it.")
        } catch {
            throw SnapshotError("cannot list \(text(path))", error)
        }
    }

    private func key(
        of folder: borrowing Directory, _ path: String
    ) throws(SnapshotError) -> Directory.Key {
        do throws(Errno) {
            return try folder.key()
        } catch {
            throw SnapshotError("cannot look at \(text(path))", error)
        }
    }

    private func kind(
        of name: String, in folder: borrowing Directory, _ path: String
    ) throws(SnapshotError) -> Directory.Kind {
        do throws(Errno) {
            if let kind = try folder.kind(of: name) { return kind }
        } catch {
            throw SnapshotError("cannot look at \(text(path))", error)
        }
        throw changed(path)
    }

    private func open(
        _ name: String, in folder: borrowing Directory, _ path: String
    ) throws(SnapshotError) -> Directory {
        do throws(Errno) {
            return try folder.folder(name)
        } catch {
            throw SnapshotError("cannot read \(text(path))", error)
        }
    }
}
