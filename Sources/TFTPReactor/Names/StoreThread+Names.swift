internal import CLinux
internal import TFTPCore
internal import TFTPNames
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// What the store thread asks the resolver of names.
extension StoreThread {
    /// Whether rules or look-up options decide what the name means.
    func asksNames(_ request: OpenRequest) -> Bool {
        names.plan.isActive && !request.isResolved && snapshots == nil
    }

    /// Whether the kernel refused to follow a symbolic link that may lead to a file all the same.
    func mayBeReached(_ request: OpenRequest, _ result: Int32) -> Bool {
        // EXDEV: out of the root, or absolute.
        result == -18 && !request.isResolved && snapshots == nil
    }

    /// Whether a name that is not there may mean another one.
    func hasOtherSpelling(_ request: OpenRequest, _ name: FileName) -> Bool {
        guard !request.isResolved, snapshots == nil else { return false }
        return name.strippingTrailingJunk() != nil || names.trees.droppingRootPath(name) != nil
    }

    mutating func askNames(_ request: OpenRequest, upload: NameResolver.Upload? = nil) {
        let pending = unsafe links[request.shard].pendings[Int(request.pending)]
        var question = NameRequest(
            name: pending.name.byteArray, direction: pending.opcode, mode: pending.mode,
            kind: Fingerprint(pending.options))
        if names.plan.isActive {
            // With rules every request comes with both ends.
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

    mutating func takeNames() {
        for answer in names.takeAnswers() { take(answer) }
    }

    private mutating func take(_ answer: NameResolver.Answer) {
        var request = answer.question.number
        note(answer, of: request)
        switch answer.outcome {
        case .refused(let failure): miss(request, failure)
        case .refusedByRule(let refusal):
            refuse(request, refusal.code, refusal.message ?? "Access violation")
        case .made(let template): ask(request, template)
        case .place(let place):
            request.tree = place.tree
            guard let upload = answer.question.upload else { return look(request, place.name) }
            // Uploads go into the first root, which is the one that is meant to be written to.
            guard place.tree == 0 else { return refuse(request, .forbidden) }
            let policy = unsafe links[request.shard].pendings[Int(request.pending)].policy
            openUpload(request, place.name, byteCount: upload.byteCount, policy.upload)
        }
    }

    /// Tells the shard whether it may remember the answer.
    private func note(_ answer: NameResolver.Answer, of request: OpenRequest) {
        guard names.plan.isActive else { return }
        var resolution = unsafe NameResolution(
            name: links[request.shard].pendings[Int(request.pending)].name, tree: 0,
            isLasting: false)
        if let meaning = answer.meaning {
            resolution = NameResolution(
                name: meaning.name, tree: Int32(meaning.tree), isLasting: true)
        }
        unsafe (nameMemories[request.shard].resolutions + Int(request.pending))
            .initialize(to: resolution)
    }
}
