internal import CLinux
internal import Files
internal import TFTPStore

/// Files without a name whose uploads have brought nothing. The next upload to the same folder
/// takes one.
///
/// A flood of forged requests would else make and remove a file for each, and ext4 looks for a new
/// inode among all that were removed in the last five seconds.
struct SpareFiles {
    private var files: [(folder: InodeIdentity, file: TemporaryFile)] = []

    /// As many uploads as a shard has.
    private static let countMax = ShardLimits.uploadsMax

    /// A file for an upload to `folder`, which is open as `directory`; nil when there is none.
    mutating func take(for folder: InodeIdentity, open directory: Int32) -> TemporaryFile? {
        guard let index = files.lastIndex(where: { $0.folder == folder }) else { return nil }
        return TemporaryFile(reusing: files.remove(at: index).file, in: directory)
    }

    /// Keeps a file that nothing was written to. False where there are enough, or it has a name.
    mutating func keep(_ file: TemporaryFile, of folder: InodeIdentity) -> Bool {
        guard file.name == nil, files.count < SpareFiles.countMax else { return false }
        files.append((folder, file))
        return true
    }

    /// Closes all: an open file keeps its file system from being unmounted.
    mutating func closeAll() {
        for (_, file) in files { clinux_close(file.descriptor) }
        files.removeAll(keepingCapacity: true)
    }
}
