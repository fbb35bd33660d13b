internal import CLinux
internal import Files
internal import Glibc
internal import SystemPackage
internal import TFTPStore

/// The files of a folder that is published by content.
struct PublishedFolder {
    typealias Failure = ContentPublisher.Failure

    /// Without symbolic links.
    let path: String

    /// - Parameter path: may be, or go through, symbolic links.
    init(_ path: String) throws(Failure) {
        guard let resolved = PublishedFolder.resolved(path) else {
            throw .unreadable(path: path)
        }
        self.path = resolved
    }

    /// The names of all files but unfinished uploads, sorted. A symbolic link counts as the file
    /// that it leads to.
    ///
    /// - Throws: `Failure` for what cannot be published.
    func names() throws(Failure) -> [String] {
        var names: [String] = []
        try collect("", &names)
        return names.sorted()
    }

    private func collect(_ folder: String, _ names: inout [String]) throws(Failure) {
        for entry in try entries(of: folder) where !PublishedFolder.isUpload(entry) {
            let name = folder.isEmpty ? entry : "\(folder)/\(entry)"
            var status = stat()
            guard unsafe lstat("\(path)/\(name)", &status) == 0 else {
                throw .unreadable(path: "\(path)/\(name)")
            }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: try collect(name, &names)
            case S_IFREG: try insert(name, &names)
            case S_IFLNK:
                guard isFileWithin(name) else { throw .invalidLink(name) }
                try insert(name, &names)
            default: throw .notFile(name)
            }
        }
    }

    private func insert(_ name: String, _ names: inout [String]) throws(Failure) {
        guard PeerName.isFile(name), !name.contains("\n") else { throw .invalidName(name) }
        names.append(name)
    }

    private static func isUpload(_ name: String) -> Bool {
        name.lowercased().hasPrefix("\(FileName.uploadPrefix)")
    }

    /// Whether a link leads to a file of the folder.
    private func isFileWithin(_ name: String) -> Bool {
        guard let target = PublishedFolder.resolved("\(path)/\(name)"),
            target.hasPrefix(path == "/" ? "/" : "\(path)/")
        else { return false }
        var status = stat()
        return unsafe stat(target, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    private func entries(of folder: String) throws(Failure) -> [String] {
        let descriptor = unsafe open("\(path)/\(folder)", clinux_flags_list())
        guard descriptor >= 0 else { throw .unreadable(path: "\(path)/\(folder)") }
        do throws(Errno) {
            return try Files.names(inOpenFolder: descriptor)
        } catch {
            guard error != .illegalByteSequence else {
                throw .notText(folder: "\(path)/\(folder)")
            }
            throw .unreadable(path: "\(path)/\(folder)")
        }
    }

    private static func resolved(_ path: String) -> String? {
        // The result is this function's own, and freed when its text has been copied.
        guard let result = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(result) }
        return unsafe String(validatingCString: result)
    }
}
