internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPServing
internal import TFTPStore

/// The folders that uploads go to: opens what receives an upload, gives it its name, and throws
/// away what was not completed.
///
/// What is here only touches a few directories, so it happens in place: uploads are rare, and a
/// shard never waits for it. A name that exists is judged by its own permission bits, as other TFTP
/// servers do, and keeps its owner, group and mode.
struct UploadDisk: ~Copyable {
    /// Where one upload will stand.
    struct Place {
        var file: ReceivingFile
        /// A copy of the file that is overwritten in place, where the old one is kept.
        var backup: TemporaryFile?
        /// The folder that the name leads to, or the last on the way to it that exists.
        let directory: Int32
        /// From the root on.
        let name: FileName
        /// Folders to be made on the way to it, outermost first; from the root on.
        let missing: [FileName]
        let placing: UploadTable.Placing
        /// The file that is replaced. `file` gets its owner with the first bytes.
        var replaced: clinux_status?
    }

    private struct Existing {
        let status: clinux_status
        /// The name is a symbolic link that leads to it.
        let isLink: Bool
    }

    private let servedRoot: ServedRoot
    let settings: UploadSettings
    var places: [Place?]
    private var spares = SpareFiles()
    var charges: UploadCharges
    /// Requests for files whose content is being replaced. At most as many as may be pending.
    var postponed: [InodeIdentity: [(OpenRequest, FileName)]] = [:]
    /// Those of them whose file has its new content.
    var ready: [(OpenRequest, FileName)] = []

    static let prefix = FileName.uploadPrefix.description
    /// Folders made for one upload at most.
    private static let missingMax = 16
    /// Where a file is received that cannot be made beside its name, if the root does not take it
    /// either.
    private static let spoolPath = "/var/tmp"

    init(root: ServedRoot, settings: UploadSettings, uploadsMax: Int) {
        servedRoot = root
        self.settings = settings
        places = Array(repeating: nil, count: uploadsMax)
        charges = UploadCharges(settings.quota, uploadsMax: uploadsMax)
    }

    var root: RootedFolder { servedRoot.folder }

    // MARK: Opening

    /// Opens a file that receives what will stand as `name`.
    ///
    /// - Parameters:
    ///   - byteCount: what the client says it will send; 0 where it does not say.
    ///   - open: takes the open upload, and returns its number.
    mutating func open(
        _ name: FileName, _ policy: UploadPolicy, byteCount: UInt64,
        _ open: (Int32, UploadTable.Placing) -> UInt32
    ) throws(StoreFailure) -> UInt32 {
        guard !settings.filesAreForAll || root.isOpenToAll(name) else { throw .forbidden }
        let (directory, missing) = try openFolder(of: name)
        let place: Place
        do throws(StoreFailure) {
            let fits = byteCount == 0 || byteCount <= clinux_free_bytes(directory)
            guard fits else { throw .diskFull }
            if missing.isEmpty, let existing = try existing(name, in: directory, policy) {
                place = try self.place(name, over: existing, in: directory)
            } else if policy == .existing {
                throw .notFound
            } else {
                place = Place(
                    file: try takeFile(in: directory), directory: directory, name: name,
                    missing: missing, placing: policy == .overwrite ? .replace : .create)
            }
        } catch {
            clinux_close(directory)
            throw error
        }
        let number = open(place.file.temporary.descriptor, place.placing)
        places[Int(number)] = place
        return number
    }

    /// The folder of `name`, or the last on the way to it and those that are missing.
    private func openFolder(of name: FileName) throws(StoreFailure) -> (Int32, [FileName]) {
        var missing: [FileName] = []
        var folder = name.directory
        while true {
            do throws(Errno) {
                return (try root.open(folder, clinux_flags_directory()), missing)
            } catch .noSuchFileOrDirectory {
                guard settings.createsFolders, let absent = folder else { throw .notFound }
                guard missing.count < UploadDisk.missingMax else { throw .nameTooLong }
                missing.insert(absent, at: 0)
                folder = absent.directory
            } catch {
                throw StoreFailure(writing: error)
            }
        }
    }

    /// What `name` leads to, if an upload may take its place; nil where there is nothing.
    private func existing(
        _ name: FileName, in directory: Int32, _ policy: UploadPolicy
    ) throws(StoreFailure) -> Existing? {
        do throws(Errno) {
            let folder = RootedFolder(directory)
            guard let link = try folder.status(of: name.lastComponent, followsLink: false) else {
                return nil
            }
            guard link.is_regular || link.is_link else { throw .permissionDenied }
            guard policy != .create else { throw .fileExists }
            guard link.is_link else {
                try UploadDisk.checkWritable(folder, name.lastComponent, link)
                return Existing(status: link, isLink: false)
            }
            // Where the file of a link that leads nowhere would be, the resolver of names finds.
            guard let status = try root.status(of: name) else { throw .improperLink }
            guard status.is_regular else { throw .permissionDenied }
            try UploadDisk.checkWritable(root, name, status)
            return Existing(status: status, isLink: true)
        } catch {
            throw StoreFailure(writing: error)
        }
    }

    private static func checkWritable(
        _ folder: RootedFolder, _ name: FileName, _ status: clinux_status
    ) throws(Errno) {
        let file = try folder.open(name, clinux_flags_path())
        defer { clinux_close(file) }
        let isWritable = unsafe withUnsafePointer(to: status) { unsafe clinux_may_write(file, $0) }
        guard isWritable else { throw .permissionDenied }
    }

    /// The bytes of the upload come from now on.
    mutating func begin(_ number: UInt32) {
        guard let replaced = places[Int(number)]?.replaced else { return }
        places[Int(number)]?.file.begin(as: replaced)
        places[Int(number)]?.replaced = nil
    }

    /// A file beside the name: one that was of no use to an upload before, or a new one.
    private mutating func takeFile(in directory: Int32) throws(StoreFailure) -> ReceivingFile {
        let use = SpareFiles.Use(in: directory)
        if let use, let spare = spares.take(for: use, open: directory) {
            return ReceivingFile(spare, for: use)
        }
        return ReceivingFile(try makeFile(in: directory), for: use)
    }

    private func makeFile(in directory: Int32) throws(StoreFailure) -> TemporaryFile {
        do throws(Errno) {
            guard let umask = settings.umask ?? (settings.filesAreForAll ? 0 : nil) else {
                return try TemporaryFile(in: directory, prefix: UploadDisk.prefix, mode: 0o644)
            }
            let file = try TemporaryFile(in: directory, prefix: UploadDisk.prefix, mode: 0o600)
            _ = clinux_set_mode(file.descriptor, 0o666 & ~UInt32(umask))
            return file
        } catch {
            throw StoreFailure(error)
        }
    }

    /// A new file takes the place of the old one in one step where it can be made beside it and
    /// have its owner. Else, or where the old one has other names, its content is replaced.
    private mutating func place(
        _ name: FileName, over existing: Existing, in directory: Int32
    ) throws(StoreFailure) -> Place {
        var file: ReceivingFile
        do throws(StoreFailure) {
            file = try takeFile(in: directory)
        } catch let error where error.isDenied && !keepsOld {
            file = try takeSpool()
            return try rewrite(name, existing, file, directory)
        }
        let hasOwner =
            mayReplace(existing.status, in: directory, by: file.temporary)
            && file.canHaveOwner(of: existing.status)
        if hasOwner && !existing.isLink && existing.status.links == 1 {
            return Place(
                file: file, directory: directory, name: name, missing: [], placing: .replace,
                replaced: existing.status)
        }
        return try rewrite(name, existing, file, directory)
    }

    private mutating func rewrite(
        _ name: FileName, _ existing: Existing, _ file: ReceivingFile, _ directory: Int32
    ) throws(StoreFailure) -> Place {
        do throws(Errno) {
            let target = try root.open(name, clinux_flags_write())
            guard InodeIdentity(try status(ofOpen: target)) == InodeIdentity(existing.status)
            else {
                clinux_close(target)
                throw .staleNFSFileHandle
            }
            clinux_set_blocking(target)
            return Place(
                file: file, directory: directory, name: name, missing: [],
                placing: .rewrite(target: target, of: InodeIdentity(existing.status)))
        } catch {
            var file = file
            file.discard(isUntouched: true, to: &spares)
            throw StoreFailure(error)
        }
    }

    /// A file to receive in where none can be made beside the name.
    private mutating func takeSpool() throws(StoreFailure) -> ReceivingFile {
        if let file = try? takeFile(in: root.descriptor) { return file }
        let folder = unsafe UploadDisk.spoolPath.withCString { unsafe clinux_open_root($0) }
        guard folder >= 0 else { throw .forbidden }
        defer { clinux_close(folder) }
        let use = SpareFiles.Use(in: folder, isSpool: true)
        if let use, let spare = spares.take(for: use, open: folder) {
            return ReceivingFile(spare, for: use)
        }
        do throws(Errno) {
            return ReceivingFile(try TemporaryFile(unnamedIn: folder, mode: 0o600), for: use)
        } catch {
            throw StoreFailure(error)
        }
    }

    // MARK: Naming

    /// Gives the file its name, in one step, so that no reader ever sees a part of it.
    ///
    /// - Returns: the folders that were changed by that, open until `discard`.
    mutating func place(_ number: UInt32) throws(StoreFailure) -> [UploadTable.ChangedFolder] {
        guard var place = places[Int(number)] else { throw .input }
        defer { places[Int(number)] = place }
        if case .rewrite(_, let file) = place.placing {
            try checkIsStill(file, place.name)
            return []
        }
        guard isStillThere(place) else { throw .forbidden }
        do throws(Errno) {
            let directory = try makeFolders(place)
            defer { if directory != place.directory { clinux_close(directory) } }
            try name(&place, in: directory)
            return try changedFolders(place, directory)
        } catch {
            throw StoreFailure(error)
        }
    }

    /// Makes sure that the name still leads to the file whose content was replaced.
    private func checkIsStill(_ file: InodeIdentity, _ name: FileName) throws(StoreFailure) {
        do throws(Errno) {
            guard let now = try root.status(of: name), InodeIdentity(now) == file else {
                throw .staleNFSFileHandle
            }
        } catch {
            throw StoreFailure(error)
        }
    }

    /// Whether the folder is still where the name says: it may have been moved while the upload
    /// came.
    private func isStillThere(_ place: Place) -> Bool {
        let folder = place.missing.first.map(\.directory) ?? place.name.directory
        guard let again = try? root.open(folder, clinux_flags_directory()) else { return false }
        defer { clinux_close(again) }
        guard let now = try? status(ofOpen: again), let then = try? status(ofOpen: place.directory)
        else { return false }
        return InodeIdentity(now) == InodeIdentity(then)
    }

    /// Makes the folders that are missing, and returns the innermost.
    private func makeFolders(_ place: Place) throws(Errno) -> Int32 {
        var folder = place.directory
        for name in place.missing {
            let leaf = name.lastComponent
            let mode: UInt32 = settings.umask.map { 0o777 & ~UInt32($0) } ?? 0o755
            let made = unsafe leaf.withUnsafeCString { unsafe clinux_make_folder(folder, $0, mode) }
            let outer = folder
            defer { if outer != place.directory { clinux_close(outer) } }
            if made < 0 && Errno(rawValue: -made) != .fileExists { try check(made) }
            folder = try RootedFolder(outer).open(leaf, clinux_flags_directory())
        }
        return folder
    }

    private func name(_ place: inout Place, in directory: Int32) throws(Errno) {
        let leaf = place.name.lastComponent
        guard place.placing == .replace && directory == place.directory else {
            return try link(&place.file.temporary, as: leaf, in: directory)
        }
        let replaced: Existing?
        do throws(StoreFailure) {
            // It may have come while the upload did.
            replaced = try existing(place.name, in: directory, .overwrite)
        } catch {
            throw .permissionDenied
        }
        if let replaced {
            guard place.file.setOwner(of: replaced.status) else { throw .staleNFSFileHandle }
            do throws(StoreFailure) {
                try backUp(leaf, in: directory)
            } catch {
                throw .permissionDenied
            }
        }
        try replace(&place.file.temporary, leaf)
    }

    private func link(
        _ file: inout TemporaryFile, as leaf: FileName, in directory: Int32
    ) throws(Errno) {
        var result = Result<Void, Errno>.success(())
        unsafe leaf.withUnsafeCString { path in
            do throws(Errno) {
                try unsafe file.link(as: path, in: directory)
            } catch {
                result = .failure(error)
            }
        }
        try result.get()
    }

    func replace(_ file: inout TemporaryFile, _ leaf: FileName) throws(Errno) {
        var result = Result<Void, Errno>.success(())
        unsafe leaf.withUnsafeCString { path in
            do throws(Errno) {
                try unsafe file.replace(path)
            } catch {
                result = .failure(error)
            }
        }
        try result.get()
    }

    /// What has to be synced for the name to last: its folder, and where folders are made those on
    /// the way to it.
    private func changedFolders(
        _ place: Place, _ directory: Int32
    ) throws(Errno) -> [UploadTable.ChangedFolder] {
        guard settings.isDurable else { return [] }
        var folders: [UploadTable.ChangedFolder] = []
        let flags = clinux_flags_list()
        if let file = try? RootedFolder(directory).open(nil, flags) {
            folders.append(try changed(file))
        } else {
            // A folder that may be written and not read: file systems keep the names of a file with
            // the file.
            folders.append(try changed(place.file.temporary.descriptor))
        }
        var ancestor = settings.createsFolders ? place.name.directory : nil
        while let folder = ancestor {
            ancestor = folder.directory
            guard let file = try? root.open(ancestor, flags) else { continue }
            folders.append(try changed(file))
        }
        return folders
    }

    private func changed(_ file: Int32) throws(Errno) -> UploadTable.ChangedFolder {
        UploadTable.ChangedFolder(
            identity: InodeIdentity(try status(ofOpen: file)), file: file)
    }

    // MARK: The end

    /// Closes everything of an upload; what has no name by now is gone.
    ///
    /// - Parameter isUntouched: nothing was written, and it has not got its name.
    mutating func discard(
        _ number: UInt32, _ folders: [UploadTable.ChangedFolder], isUntouched: Bool
    ) {
        guard var place = places[Int(number)] else { return }
        places[Int(number)] = nil
        for folder in folders where folder.file != place.file.temporary.descriptor {
            clinux_close(folder.file)
        }
        if case .rewrite(let target, _) = place.placing { clinux_close(target) }
        if var backup = place.backup {
            backup.removeName()
            clinux_close(backup.descriptor)
        }
        place.file.discard(isUntouched: isUntouched, to: &spares)
        clinux_close(place.directory)
    }

    mutating func closeSpares() { spares.closeAll() }
}
