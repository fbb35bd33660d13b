internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPStore

/// What becomes of a file that an upload replaces.
extension UploadDisk {
    /// Keeps what is there under another name, in place of what was kept there before.
    func backUp(_ leaf: FileName, in directory: Int32) throws(StoreFailure) {
        guard let suffix = settings.backupSuffix else { return }
        let bytes = unsafe leaf.bytes.withUnsafeBytes { unsafe Array($0) } + Array(suffix.utf8)
        let temporary = UploadDisk.prefix + String(clinux_random(), radix: 16)
        // A backslash in a name that a rule has made is a letter of it: one component stays one.
        guard let kept = unsafe try? FileName(literal: bytes.span.bytes), kept.directory == nil
        else { throw .forbidden }
        let result = unsafe leaf.withUnsafeCString { leaf in
            unsafe temporary.withCString { temporary in
                let linked = unsafe clinux_link(directory, leaf, temporary)
                guard linked == 0 else { return linked }
                let renamed = unsafe kept.withUnsafeCString {
                    unsafe clinux_rename(directory, temporary, $0)
                }
                // Two names of one file: renaming one over the other leaves both.
                _ = unsafe clinux_unlink(directory, temporary)
                return renamed
            }
        }
        guard result == 0 else { throw StoreFailure(Errno(rawValue: -result)) }
    }

    /// Whether a name in the folder may be taken from a file with this status: the kernel keeps it
    /// in a folder that is sticky, unless the file or the folder is this user's, and in one that is
    /// only appended to. A second name of the file could not be removed there either.
    func mayReplace(
        _ replaced: clinux_status, in directory: Int32, by file: TemporaryFile
    ) -> Bool {
        guard !clinux_is_append_only(directory), let folder = try? status(ofOpen: directory),
            let new = try? status(ofOpen: file.descriptor)
        else { return false }
        let isSticky = folder.mode & 0o1000 != 0
        return !isSticky || [folder.user, replaced.user].contains(new.user)
    }
}
