internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPCore
internal import TFTPServing
internal import TFTPStore
internal import Uring

/// From a name to an open file and its image.
extension StoreThread {
    /// Looks for the name that is asked for, in the snapshot that it is for where there are any.
    mutating func find(_ request: OpenRequest) {
        let name = unsafe links[request.shard].pendings[Int(request.pending)].name
        var request = request
        do throws(StoreFailure) {
            try checkRoot()
            try place(&request, name)
        } catch {
            return miss(request, error)
        }
        if asksNames(request) { return askNames(request) }
        let inner = name.dropping(request.place?.prefixByteCount ?? 0)
        guard adoptPolicy(request, of: inner) else { return refuse(request, .forbidden) }
        look(request, inner)
    }

    /// Settles once which snapshot the request is for.
    mutating func place(_ request: inout OpenRequest, _ name: FileName) throws(StoreFailure) {
        guard let snapshots, request.place == nil else { return }
        let note = unsafe links[request.shard].notes[Int(request.pending)]
        request.place = try snapshots.place(name, for: note.peer.address)
    }

    mutating func look(_ request: OpenRequest, _ name: FileName) {
        ring.startOpen(
            .look(request), directory: directory(of: request), name, flags: clinux_flags_path())
    }

    private func directory(of request: OpenRequest) -> Int32 {
        request.place?.snapshot.directory ?? names.directory(of: request.tree)
    }

    mutating func didLook(_ request: OpenRequest, _ number: Int, _ result: Int32) {
        guard let name = ring.name(of: number) else { return }
        guard result >= 0 else {
            if mayBeReached(request, result) { return askNames(request) }
            let failure = StoreFailure(Errno(rawValue: -result))
            if failure == .notFound && hasOtherSpelling(request, name) { return askNames(request) }
            guard failure == .notFound, !request.isStripped, !request.isResolved,
                let stripped = name.strippingTrailingJunk()
            else { return miss(request, failure) }
            var again = request
            again.isStripped = true
            return look(again, stripped)
        }
        defer { clinux_close(result) }
        var status = clinux_status()
        guard unsafe clinux_status_of(result, &status) == 0, status.isServed(configuration),
            isOpen(name, request)
        else { return refuse(request, status.is_regular ? .permission : .notRegular) }
        guard !postpone(request, name, status) else { return }
        if let image = cache.lookup(FileIdentity(status)) { return answer(request, image) }
        ring.startOpen(
            .open(request, name), directory: directory(of: request), name,
            flags: clinux_flags_read())
    }

    /// Whether clients may have what lies in the folder of `name`.
    private func isOpen(_ name: FileName, _ request: OpenRequest) -> Bool {
        !configuration.actsAsOwner || configuration.servesUnreadable
            || RootedFolder(directory(of: request)).isOpenToAll(name)
    }

    /// There is no such file; a handler may have what the folder has not.
    mutating func miss(_ request: OpenRequest, _ failure: StoreFailure) {
        let isForHandler =
            failure == .notFound && configuration.reads == .afterFolder && !request.isAsked
        isForHandler ? ask(request) : refuse(request, failure)
    }

    mutating func didOpen(_ request: OpenRequest, _ name: FileName, _ result: Int32) {
        guard result >= 0 else {
            noteFailure(.opening, Errno(rawValue: -result))
            return refuse(request, StoreFailure(Errno(rawValue: -result)))
        }
        var status = clinux_status()
        guard unsafe clinux_status_of(result, &status) == 0, status.isServed(configuration) else {
            clinux_close(result)
            return refuse(request, status.is_regular ? .permission : .notRegular)
        }
        guard !postpone(request, name, status) else { return clinux_close(result) }
        let identity = FileIdentity(status)
        // Another request may have opened the same file meanwhile.
        if let image = cache.lookup(identity) {
            clinux_close(result)
            return answer(request, image)
        }
        guard identity.byteCount <= ImageCache.imageByteCountMax else {
            clinux_close(result)
            return refuse(request, .tooLarge)
        }
        clinux_set_blocking(result)
        let offset = unsafe links[request.shard].pendings[Int(request.pending)].offset
        guard
            let image = cache.insert(
                identity, file: result, offset: offset, isReopenable: true)
        else {
            clinux_close(result)
            noteFailure(.opening, .tooManyOpenFiles)
            return refuse(request, .busy)
        }
        keepName(of: image, request, name)
        answer(request, image)
    }

    private mutating func answer(_ request: OpenRequest, _ image: ImageID) {
        reply(
            .opened(
                slot: request.slot, generation: request.generation, pending: request.pending,
                image: image), request.shard)
    }

    mutating func refuse(_ request: OpenRequest, _ failure: StoreFailure) {
        refuse(request.client, failure)
    }

    mutating func refuse(_ client: StoreClient, _ failure: StoreFailure) {
        reply(
            .refused(
                slot: client.slot, generation: client.generation, pending: client.pending,
                failure: failure), client.shard)
    }
}
