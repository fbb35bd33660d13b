internal import CLinux
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPStore
internal import TFTPWire

/// The store thread's answers.
extension Shard {
    mutating func takeReplies() {
        for _ in 0..<ShardLimits.repliesPerTurn {
            guard let reply = link.fromStore.take() else { return }
            handle(reply)
        }
        // More are left than one turn takes: come round again at once.
        link.ring()
    }

    private mutating func handle(_ reply: StoreReply) {
        switch reply {
        case .opened(let slot, let generation, let pending, let image):
            let request = takePending(pending)
            guard isOpening(slot, generation) else { return shared.imageIndex.release(image) }
            identities[shared.imageIndex.identity(of: image)] = image
            startSending(Int(slot), request, image, shared.imageIndex.byteCount(of: image))
        case .sealed(let slot, let generation, let seal):
            unsafe seals.take(seal, isOpening(slot, generation) ? Int(slot) : nil)
        case .supplied(let slot, let generation, let pending, let image, let byteCount):
            var request = takePending(pending)
            guard isOpening(slot, generation) else { return releaseSupply(image) }
            unseal(&request, Int(slot))
            startSending(Int(slot), request, image, byteCount, isSupplied: true)
        case .refusedByHandler(let slot, let generation, let pending):
            var request = takePending(pending)
            guard isOpening(slot, generation) else { return }
            unseal(&request, Int(slot))
            refuseAsHandlerSays(Int(slot), request, pending)
        case .ended(let slot, let generation, let byteCount):
            wantsInFlight -= 1
            guard table.isCurrent(Int(slot), generation: generation) else { return }
            endSupply(Int(slot), byteCount: byteCount)
        case .ready(let slot, let generation):
            wantsInFlight -= 1
            guard table.isCurrent(Int(slot), generation: generation) else { return }
            table.setWaiting(of: Int(slot), .nothing)
            sendDue(Int(slot))
        case .uploadOpened(let slot, let generation, let pending, let upload):
            var request = takePending(pending)
            guard isOpening(slot, generation) else { return tellStore(.abort(upload: upload)) }
            unseal(&request, Int(slot))
            startReceiving(Int(slot), request, storeUpload: upload)
        case .refused(let slot, let generation, let pending, let failure):
            var request = takePending(pending)
            guard isOpening(slot, generation) else { return }
            unseal(&request, Int(slot))
            refuse(Int(slot), request, Refusal(failure))
        case .written(let chunk):
            uploads.takeBack(chunk)
        case .committed(let slot, let generation):
            guard table.isCurrent(Int(slot), generation: generation) else { return }
            commit(Int(slot))
        case .lost(let slot, let generation, let failure):
            wantsInFlight -= 1
            guard table.isCurrent(Int(slot), generation: generation) else { return }
            fail(Int(slot), failure)
        case .failed(let slot, let generation, let failure):
            guard table.isCurrent(Int(slot), generation: generation) else { return }
            fail(Int(slot), failure)
        }
    }

    private func isOpening(_ slot: UInt32, _ generation: UInt32) -> Bool {
        table.isCurrent(Int(slot), generation: generation) && table.isOpening(Int(slot))
    }

    private mutating func takePending(_ place: UInt32) -> PendingRequest {
        defer { freePendings.give(place) }
        return unsafe link.pendings[Int(place)]
    }

    /// The upload stands under its name: now the last block may be acknowledged.
    private mutating func commit(_ slot: Int) {
        let effect = table.didCommit(slot, now: now)
        dallyingCount += 1
        record(slot, .done)
        // What remains is to repeat the last ACK: no reason to keep the next upload waiting.
        let subject = table.subject(of: slot)
        uploads.release(contents[subject].upload)
        contents[subject].upload = UploadSlots.noUpload
        link.noteActive(table.activeCount - dallyingCount)
        perform(effect, slot)
    }

    private mutating func fail(_ slot: Int, _ failure: StoreFailure) {
        table.setWaiting(of: slot, .nothing)
        sendError(slot, failure.code, failure.message)
        end(slot, .failed, errorCode: failure.code)
    }
}
