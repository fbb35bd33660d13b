internal import TFTPCore
internal import TFTPMetrics
package import TFTPStore
internal import TFTPWire

/// Answers about names, and the store's.
extension TransferServer {
    // MARK: What looking at once has told

    /// The name stands for an image that the driver has retained.
    package mutating func stepFound(_ slot: Int, _ image: ImageID, byteCount: UInt64) {
        startSending(slot, pendings.current, image, byteCount)
    }

    /// The file does not exist.
    package mutating func stepNotFound(_ slot: Int) {
        if makes(.hidesMisses) { return release(slot) }
        guard configuration.reads == .afterFolder else {
            return refuse(slot, pendings.current, Refusal(.notFound))
        }
        askHandler(slot)
    }

    /// The request means the file of another name than it has: the policy of that name holds.
    ///
    /// - Returns: false where it refuses the request, and the client has been told.
    package mutating func stepRenamed(_ slot: Int, to name: FileName) -> Bool {
        guard policies.dependsOnFolder else { return true }
        let current = pendings.current
        let client = table.flow(of: slot).peer.address
        let policy = policies.policy(of: client, kind: pendings[current].kind, name: name.bytes)
        guard pendings[current].adopt(policy) else {
            refuse(slot, current, Refusal(.forbidden))
            return false
        }
        return true
    }

    /// Only the store can tell.
    package mutating func stepUnknown(_ slot: Int) { ask(slot) }

    /// The name cannot be served.
    package mutating func stepLookFailed(_ slot: Int, _ failure: StoreFailure) {
        refuse(slot, pendings.current, Refusal(failure))
    }

    // MARK: What the store says

    /// `StoreReply.opened`, with what the driver knows of the image, which it has retained.
    package mutating func stepOpened(
        _ slot: UInt32, generation: UInt32, pending: UInt32, _ image: ImageID, byteCount: UInt64,
        now: UInt64
    ) {
        self.now = now
        pendings.give(pending)
        guard isOpening(slot, generation) else {
            return effects.append(.releaseImage(image, isSupplied: false))
        }
        startSending(Int(slot), pending, image, byteCount)
    }

    /// Any other reply.
    package mutating func stepReply(_ reply: StoreReply, now: UInt64) {
        self.now = now
        switch reply {
        case .opened:
            assertionFailure("stepOpened takes it")
        case .sealed(let slot, let generation, let seal):
            unsafe seals.take(seal, isOpening(slot, generation) ? Int(slot) : nil)
        case .supplied(let slot, let generation, let pending, let image, let byteCount):
            pendings.give(pending)
            guard isOpening(slot, generation) else {
                return effects.append(.releaseImage(image, isSupplied: true))
            }
            unseal(pending, Int(slot))
            startSending(Int(slot), pending, image, byteCount, isSupplied: true)
        case .refusedByHandler(let slot, let generation, let pending):
            pendings.give(pending)
            guard isOpening(slot, generation) else { return }
            unseal(pending, Int(slot))
            refuseAsHandlerSays(Int(slot), pending)
        case .uploadOpened(let slot, let generation, let pending, let upload):
            pendings.give(pending)
            guard isOpening(slot, generation) else { return tellStore(.abort(upload: upload)) }
            unseal(pending, Int(slot))
            startReceiving(Int(slot), pending, storeUpload: upload)
        case .refused(let slot, let generation, let pending, let failure):
            if !makes(.forgetsPending) { pendings.give(pending) }
            guard isOpening(slot, generation) else { return }
            unseal(pending, Int(slot))
            if failure == .busy { counters.add(.shortOfStore) }
            refuse(Int(slot), pending, Refusal(failure))
        case .ended(let slot, let generation, let byteCount):
            life.wantsInFlight -= 1
            guard table.isCurrent(Int(slot), generation: generation) else { return }
            endSupply(Int(slot), byteCount: byteCount)
        case .ready(let slot, let generation):
            life.wantsInFlight -= 1
            guard table.isCurrent(Int(slot), generation: generation), !makes(.losesWaiter)
            else { return }
            table.setWaiting(of: Int(slot), .nothing)
            sendDue(Int(slot))
        case .lost(let slot, let generation, let failure):
            life.wantsInFlight -= 1
            guard table.isCurrent(Int(slot), generation: generation) else { return }
            fail(Int(slot), failure)
        case .written(let chunk):
            if !makes(.forgetsChunks) { uploads.takeBack(chunk) }
        case .committed(let slot, let generation):
            guard table.isCurrent(Int(slot), generation: generation) else { return }
            commit(Int(slot))
        case .failed(let slot, let generation, let failure):
            guard table.isCurrent(Int(slot), generation: generation) else { return }
            fail(Int(slot), failure)
        }
    }

    private func isOpening(_ slot: UInt32, _ generation: UInt32) -> Bool {
        table.isCurrent(Int(slot), generation: generation) && table.isOpening(Int(slot))
    }

    /// Content of unknown size has ended.
    private mutating func endSupply(_ slot: Int, byteCount: UInt64) {
        let subject = table.subject(of: slot)
        contents[subject].partEnd = byteCount
        // Translated text finds its last block by itself.
        if contents[subject].mode == .octet {
            table.setLastBlock(slot, byteCount / UInt64(table.blksize(of: slot)) + 1)
        }
        table.setWaiting(of: slot, .nothing)
        sendDue(slot)
    }

    /// The upload stands under its name: now the last block may be acknowledged.
    private mutating func commit(_ slot: Int) {
        let effect = table.didCommit(slot, now: now)
        life.dallyingCount += 1
        record(slot, .done)
        // What remains is to repeat the last ACK: no reason to keep the next upload waiting.
        let subject = table.subject(of: slot)
        uploads.release(contents[subject].upload)
        contents[subject].upload = ReceptionTable.noUpload
        perform(effect, slot)
    }

    private mutating func fail(_ slot: Int, _ failure: StoreFailure) {
        table.setWaiting(of: slot, .nothing)
        if !makes(.hidesDiskErrors) { sendError(slot, failure.code, failure.message) }
        end(slot, .failed, errorCode: failure.code, because: failure.reason)
    }
}
