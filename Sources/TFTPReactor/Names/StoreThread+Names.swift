internal import CLinux
internal import SystemPackage
internal import TFTPCore
internal import TFTPNames
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// What the store thread asks the resolver of names.
extension StoreThread {
    /// Whether rules or look-up options decide what the name means.
    func asksNames(_ request: OpenRequest) -> Bool {
        names.isAsked && !request.isResolved && snapshots == nil
    }

    /// Whether the kernel refused to follow a symbolic link that may lead to a file all the same.
    func mayBeReached(_ request: OpenRequest, _ result: Int32) -> Bool {
        // Out of the root, or absolute.
        Errno(rawValue: -result) == .improperLink && !request.isResolved && snapshots == nil
    }

    /// Whether a name that is not there may mean another one.
    func hasOtherSpelling(_ request: OpenRequest, _ name: FileName) -> Bool {
        guard !request.isResolved, snapshots == nil else { return false }
        return name.strippingTrailingJunk() != nil || names.root.droppingPath(name) != nil
    }

    mutating func askNames(_ request: OpenRequest, upload: NameResolver.Upload? = nil) {
        let pending = unsafe links[request.shard].pendings[Int(request.pending)]
        var question = NameRequest(
            name: pending.name.byteArray, direction: pending.opcode, mode: pending.mode,
            kind: pending.kind)
        if names.isAsked {
            // Requests come with both ends where names may mean something.
            let note = unsafe links[request.shard].notes[Int(request.pending)]
            question.client = note.peer.address
            question.server = note.local
        }
        var request = request
        request.isResolved = true
        guard
            names.ask(NameResolver.Question(number: request, request: question, upload: upload))
        else { return refuse(request, .busy) }
    }

    /// Takes answers, each of which may begin an operation, as far as there is room. The rest waits
    /// for operations to end.
    mutating func takeNames() {
        for answer in names.takeAnswers(countMax: ring.freeCountForRequests) { take(answer) }
    }

    private mutating func take(_ answer: NameResolver.Answer) {
        var request = answer.question.number
        note(answer, of: request)
        switch answer.outcome {
        case .refused(let failure) where answer.question.upload != nil: refuse(request, failure)
        case .refused(let failure):
            if let mapped = answer.mapped, configuration.reads == .afterFolder {
                // What a handler is asked for is what the rules have made of the name.
                unsafe links[request.shard].pendings[Int(request.pending)].name = mapped
            }
            miss(request, failure)
        case .refusedByRule(let refusal):
            refuse(request, refusal.code, refusal.message ?? "Access violation")
        case .made(let template): ask(request, template)
        case .place(let place):
            request.tree = place.tree
            guard adoptPolicy(request, of: place.name) else { return refuse(request, .forbidden) }
            guard let upload = answer.question.upload else { return look(request, place.name) }
            // Uploads go into the first root, which is the one that is meant to be written to.
            guard place.tree == 0 else { return refuse(request, .forbidden) }
            let policy = unsafe links[request.shard].pendings[Int(request.pending)].policy
            openUpload(request, place.name, byteCount: upload.byteCount, policy.upload)
        }
    }

    /// The request means the file `name`, perhaps in another folder than the one that it names: the
    /// policy of that folder holds. False where it refuses the request.
    func adoptPolicy(_ request: OpenRequest, of name: FileName) -> Bool {
        let table = policies.table
        guard table.dependsOnFolder else { return true }
        let note = unsafe links[request.shard].notes[Int(request.pending)]
        let pending = unsafe links[request.shard].pendings + Int(request.pending)
        return unsafe pending.pointee.adoptPolicy(
            from: table, of: note.peer.address, name: name)
    }

    /// Tells the shard whether it may remember the answer.
    private func note(_ answer: NameResolver.Answer, of request: OpenRequest) {
        guard names.isAsked else { return }
        let resolution = NameResolution(answer.meanings, generation: answer.generation)
        unsafe (resources.nameMemories[request.shard].resolutions + Int(request.pending))
            .initialize(to: resolution)
    }
}
