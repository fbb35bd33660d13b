internal import CLinux
internal import TFTPCore
internal import TFTPServing
internal import TFTPStore

/// Uploads: a file without a name, then a name.
extension StoreThread {
    /// Opens a temporary beside where the upload is to stand.
    mutating func openUpload(
        _ request: OpenRequest, _ name: FileName, byteCount: UInt64, _ policy: UploadPolicy
    ) {
        // What is published is not written to.
        guard snapshots == nil else { return refuse(request, .forbidden) }
        guard !uploads.isFull else { return refuse(request, .busy) }
        let directory = openDirectory(of: name)
        guard directory >= 0 else { return refuse(request, StoreFailure(errno: -directory)) }
        let leaf = name.lastComponent
        var temporary: FileName?
        let file: Int32
        if let failure = judge(leaf, in: directory, byteCount: byteCount, policy) {
            clinux_close(directory)
            return refuse(request, failure)
        }
        (file, temporary) = openTemporary(in: directory)
        guard file >= 0 else {
            clinux_close(directory)
            return refuse(request, StoreFailure(errno: -file))
        }
        let upload = uploads.open(
            UploadBook.Upload(
                file: file, directory: directory, name: name, temporary: temporary,
                replaces: policy == .overwrite, shard: UInt32(request.shard), slot: request.slot,
                generation: request.generation))
        reply(
            .uploadOpened(
                slot: request.slot, generation: request.generation, pending: request.pending,
                upload: upload), request.shard)
    }

    private func openDirectory(of name: FileName) -> Int32 {
        let resolve = UInt64(CLINUX_RESOLVE_BENEATH)
        let flags = clinux_flags_directory()
        guard let parent = name.directory else {
            return unsafe clinux_open_beneath(root, ".", flags, 0, resolve)
        }
        return unsafe parent.withUnsafeCString { path in
            unsafe clinux_open_beneath(root, path, flags, 0, resolve)
        }
    }

    /// Whether an upload may stand as `leaf`: nil when it may.
    private func judge(
        _ leaf: FileName, in directory: Int32, byteCount: UInt64, _ policy: UploadPolicy
    ) -> StoreFailure? {
        if byteCount > clinux_free_bytes(directory) { return .diskFull }
        let existing = unsafe leaf.withUnsafeCString { path in
            unsafe clinux_open_beneath(
                directory, path, clinux_flags_path(), 0, UInt64(CLINUX_RESOLVE_BENEATH))
        }
        guard existing >= 0 else {
            return existing == -2 /* ENOENT */ ? nil : StoreFailure(errno: -existing)
        }
        defer { clinux_close(existing) }
        var status = clinux_status()
        guard unsafe clinux_status_of(existing, &status) == 0, status.is_regular else {
            return .forbidden
        }
        return policy == .overwrite ? nil : .alreadyExists
    }

    /// A file without a name, or with one that is never served where the file system has none such.
    private func openTemporary(in directory: Int32) -> (Int32, FileName?) {
        let resolve = UInt64(CLINUX_RESOLVE_BENEATH)
        let unnamed = unsafe clinux_open_beneath(
            directory, ".", clinux_flags_unnamed(), 0o644, resolve)
        // EOPNOTSUPP, EISDIR and EINVAL: what file systems and old kernels say that can not.
        guard unnamed == -95 || unnamed == -21 || unnamed == -22 else { return (unnamed, nil) }
        guard let name = StoreThread.temporaryName() else { return (-22, nil) }
        let named = unsafe name.withUnsafeCString { path in
            unsafe clinux_open_beneath(directory, path, clinux_flags_create(), 0o644, resolve)
        }
        return (named, name)
    }

    private static func temporaryName() -> FileName? {
        let text = "\(FileName.uploadPrefix.description)\(String(clinux_random(), radix: 16))"
        return unsafe try? FileName(normalising: Array(text.utf8).span.bytes)
    }

    mutating func apply(_ verdict: UploadBook.Verdict, _ number: UInt32) {
        switch verdict {
        case .wait: break
        case .commit: commit(number)
        case .fail(let errno):
            if let upload = uploads[number] { tell(upload, .init(errno: errno)) }
            if uploads.verdict(number) == .discard { discard(number) }
        case .discard: discard(number)
        }
    }

    private mutating func commit(_ number: UInt32) {
        guard let upload = uploads[number] else { return }
        let result =
            isStillBeneathRoot(upload)
            ? give(upload) : -18 /* EXDEV */
        if result < 0 {
            tell(upload, result == -28 ? .diskFull : StoreFailure(errno: -result))
        } else {
            reply(
                .committed(slot: upload.slot, generation: upload.generation), Int(upload.shard))
        }
        discard(number)
    }

    /// Whether the directory is still where the name says: it may have been moved while the upload came.
    private func isStillBeneathRoot(_ upload: UploadBook.Upload) -> Bool {
        let again = openDirectory(of: upload.name)
        guard again >= 0 else { return false }
        defer { clinux_close(again) }
        var (now, then) = (clinux_status(), clinux_status())
        guard unsafe clinux_status_of(again, &now) == 0 else { return false }
        guard unsafe clinux_status_of(upload.directory, &then) == 0 else { return false }
        return now.device == then.device && now.inode == then.inode
    }

    private mutating func tell(_ upload: UploadBook.Upload, _ failure: StoreFailure) {
        reply(
            .failed(slot: upload.slot, generation: upload.generation, failure: failure),
            Int(upload.shard))
    }

    /// Gives the file its name: in one step, so that nobody ever sees a part of it.
    private func give(_ upload: UploadBook.Upload) -> Int32 {
        let directory = upload.directory
        if upload.replaces {
            guard let name = upload.temporary ?? StoreThread.temporaryName() else { return -22 }
            if upload.temporary == nil {
                let linked = unsafe name.withUnsafeCString { path in
                    unsafe clinux_link_unnamed(upload.file, directory, path)
                }
                guard linked == 0 else { return linked }
            }
            return unsafe name.withUnsafeCString { from in
                unsafe upload.leaf.withUnsafeCString { to in
                    let renamed = unsafe clinux_rename(directory, from, to)
                    if renamed < 0 { _ = unsafe clinux_unlink(directory, from) }
                    return renamed
                }
            }
        }
        return unsafe upload.leaf.withUnsafeCString { to in
            guard let name = upload.temporary else {
                return unsafe clinux_link_unnamed(upload.file, directory, to)
            }
            // The temporary's own name goes with `discard`.
            return unsafe name.withUnsafeCString { unsafe clinux_rename_new(directory, $0, to) }
        }
    }

    /// Lets go of the files, and of the temporary's name if it still has one.
    private mutating func discard(_ number: UInt32) {
        guard let upload = uploads[number] else { return }
        if let name = upload.temporary {
            _ = unsafe name.withUnsafeCString { unsafe clinux_unlink(upload.directory, $0) }
        }
        clinux_close(upload.file)
        clinux_close(upload.directory)
        uploads.close(number)
    }
}
