internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPStore

/// What becomes of a file that an upload replaces.
extension UploadDisk {
    /// Keeps what is there under another name, in place of what was kept there before.
    func backUp(_ leaf: FileName, in directory: Int32) throws(StoreFailure) {
        guard keepsOld else { return }
        let kept = try backupName(of: leaf)
        let temporary = UploadDisk.prefix + String(clinux_random(), radix: 16)
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

    /// Whether the file that an upload replaces stays under another name.
    var keepsOld: Bool { settings.backupSuffix != nil }

    private func backupName(of leaf: FileName) throws(StoreFailure) -> FileName {
        let suffix = settings.backupSuffix ?? ""
        let bytes = unsafe leaf.bytes.withUnsafeBytes { unsafe Array($0) } + Array(suffix.utf8)
        // A backslash in a name that a rule has made is a letter of it: one component stays one.
        guard let kept = unsafe try? FileName(literal: bytes.span.bytes), kept.directory == nil
        else { throw .forbidden }
        return kept
    }

    // MARK: Files that are overwritten in place

    /// The file that is overwritten, open to be read, and a file for a copy of it.
    struct OpenBackup {
        let source: Int32
        let copy: Int32
        let byteCount: UInt64
    }

    /// Makes a file beside the one that an upload overwrites in place. It keeps its owner, so the
    /// old content is what gets another file.
    mutating func openBackup(_ number: UInt32) throws(StoreFailure) -> OpenBackup {
        guard let place = places[Int(number)], case .rewrite(_, let file) = place.placing else {
            throw .input
        }
        do throws(Errno) {
            let source = try root.open(place.name, clinux_flags_read())
            do throws(Errno) {
                let old = try status(ofOpen: source)
                guard InodeIdentity(old) == file else { throw .staleNFSFileHandle }
                clinux_set_blocking(source)
                let copy = try TemporaryFile(
                    in: place.directory, prefix: UploadDisk.prefix, mode: 0o600)
                places[Int(number)]?.backup = copy
                UploadDisk.setOwner(of: copy.descriptor, like: old)
                return OpenBackup(
                    source: source, copy: copy.descriptor, byteCount: old.byte_count)
            } catch {
                clinux_close(source)
                throw error
            }
        } catch {
            throw StoreFailure(error)
        }
    }

    /// The owner and group of the old file as far as this process may give them; no user may read
    /// the copy that could not read the old file.
    private static func setOwner(of copy: Int32, like old: clinux_status) {
        var like = old
        if unsafe clinux_set_owner(copy, &like) == 0 { return }
        guard let own = try? status(ofOpen: copy) else { return }
        like.user = own.user
        if unsafe clinux_set_owner(copy, &like) == 0 { return }
        _ = clinux_set_mode(copy, UInt32(old.mode) & 0o707)
    }

    /// Gives the copy its name, in place of what was kept there before.
    ///
    /// - Returns: the folder, open to be synced; nil where that cannot be.
    mutating func nameBackup(_ number: UInt32) throws(StoreFailure) -> Int32? {
        guard var place = places[Int(number)], var copy = place.backup else { throw .input }
        let kept = try backupName(of: place.name.lastComponent)
        defer {
            place.backup = copy
            places[Int(number)] = place
        }
        do throws(Errno) {
            try replace(&copy, kept)
        } catch {
            throw StoreFailure(error)
        }
        return try? RootedFolder(place.directory).open(nil, clinux_flags_list())
    }
}
