internal import CLinux
internal import SystemPackage
internal import TFTPServing
internal import TFTPStore
internal import Uring

/// Keeps the content of a file that an upload overwrites in place: it is copied to another file,
/// which is on the disk with its name before the first byte is overwritten.
extension StoreThread {
    /// - Parameter order: the copy that overwrites the file.
    mutating func backUp(_ order: FileCopy) {
        do throws(StoreFailure) {
            let backup = try uploadDisk.openBackup(order.upload)
            var copy = FileCopy(
                upload: order.upload, from: backup.source, to: backup.copy,
                byteCount: backup.byteCount)
            copy.next = .init(from: order.from, to: order.to, byteCount: order.byteCount)
            self.copy(copy)
        } catch {
            uploads.didCopy(order.upload, failure: error)
        }
    }

    mutating func endBackup(_ copy: FileCopy, _ next: FileCopy.Next, _ failure: StoreFailure?) {
        clinux_close(copy.from)
        if let failure { return uploads.didCopy(copy.upload, failure: failure) }
        let order = FileCopy(
            upload: copy.upload, from: next.from, to: next.to, byteCount: next.byteCount)
        guard uploadDisk.settings.isDurable else { return nameBackup(order) }
        let file = copy.to
        ring.start(.syncBackup(order, folder: nil)) { ring, tag, _ in
            ring.queueSync(file: file, userData: tag)
        }
    }

    /// - Parameter folder: the folder that was synced; nil where it was the file.
    mutating func didSyncBackup(_ order: FileCopy, _ folder: Int32?, _ result: Int32) {
        if let folder { clinux_close(folder) }
        if result < 0 { noteFailure(.syncing, Errno(rawValue: -result)) }
        if let failure = StoreThread.failure(ofSync: result) {
            return uploads.didCopy(order.upload, failure: failure)
        }
        folder == nil ? nameBackup(order) : overwrite(order)
    }

    private mutating func nameBackup(_ order: FileCopy) {
        let folder: Int32?
        do throws(StoreFailure) {
            folder = try uploadDisk.nameBackup(order.upload)
        } catch {
            return uploads.didCopy(order.upload, failure: error)
        }
        guard let folder else { return overwrite(order) }
        guard uploadDisk.settings.isDurable else {
            clinux_close(folder)
            return overwrite(order)
        }
        ring.start(.syncBackup(order, folder: folder)) { ring, tag, _ in
            ring.queueSync(file: folder, userData: tag)
        }
    }
}
