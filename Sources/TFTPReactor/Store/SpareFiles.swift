internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPStore

/// Files without a name whose uploads have brought nothing. The next upload to the same folder
/// takes one.
///
/// A flood of forged requests would else make and remove a file for each, and ext4 looks for a new
/// inode among all that were removed in the last five seconds.
struct SpareFiles {
    /// What a file was made for.
    struct Use: Equatable {
        private let folder: InodeIdentity
        /// linkat(2) gives a file a name only in the mount that it was made in.
        private let mount: UInt64
        /// Its content goes over that of another file.
        private let isSpool: Bool

        /// Nil where the kernel does not tell one folder from others.
        init?(in directory: Int32, isSpool: Bool = false) {
            guard let status = try? status(ofOpen: directory) else { return nil }
            folder = InodeIdentity(status)
            mount = clinux_mount_of(directory)
            self.isSpool = isSpool
            guard mount != 0 else { return nil }
        }
    }

    private var files: [(use: Use, file: TemporaryFile)] = []

    /// As many uploads as a shard has.
    private static let countMax = ShardLimits.uploadsMax

    /// A file for an upload to the folder that is open as `directory`; nil when there is none.
    mutating func take(for use: Use, open directory: Int32) -> TemporaryFile? {
        guard let index = files.lastIndex(where: { $0.use == use }) else { return nil }
        return TemporaryFile(reusing: files.remove(at: index).file, in: directory)
    }

    /// Keeps a file that nothing was written to. False where there are enough, or it has a name.
    mutating func keep(_ file: TemporaryFile, for use: Use) -> Bool {
        guard file.name == nil, files.count < SpareFiles.countMax else { return false }
        files.append((use, file))
        return true
    }

    /// Closes all: an open file keeps its file system from being unmounted.
    mutating func closeAll() {
        for (_, file) in files { clinux_close(file.descriptor) }
        files.removeAll(keepingCapacity: true)
    }
}

/// A file that receives an upload.
struct ReceivingFile {
    var temporary: TemporaryFile
    /// What another upload may use it for while nothing is written to it; nil where none may.
    private(set) var use: SpareFiles.Use?

    init(_ temporary: TemporaryFile, for use: SpareFiles.Use?) {
        self.temporary = temporary
        self.use = use
    }

    /// Whether it can have the owner, group and permission bits of another file. A file without a
    /// name has its own again after that, so that it is of use to any upload.
    mutating func canHaveOwner(of other: clinux_status) -> Bool {
        guard temporary.name == nil, let own = try? status(ofOpen: temporary.descriptor) else {
            use = nil
            return setOwner(of: other)
        }
        if own.user == other.user && own.group == other.group { return true }
        let canHave = setOwner(of: other)
        if !setOwner(of: own) { use = nil }
        return canHave
    }

    /// The bytes of an upload come from now on, which replaces another file.
    mutating func begin(as other: clinux_status) {
        use = nil
        // Where that fails, it fails again when the file gets its name.
        _ = setOwner(of: other)
    }

    /// Whether it has the owner, group and permission bits of another file now.
    func setOwner(of other: clinux_status) -> Bool {
        unsafe withUnsafePointer(to: other) {
            unsafe clinux_set_owner(temporary.descriptor, $0) == 0
        }
    }

    /// Removes it, or leaves it to the next upload.
    mutating func discard(isUntouched: Bool, to spares: inout SpareFiles) {
        if isUntouched, let use, spares.keep(temporary, for: use) { return }
        temporary.removeName()
        clinux_close(temporary.descriptor)
    }
}
