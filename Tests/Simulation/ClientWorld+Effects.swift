import TFTPCore
internal import TFTPServing
import TFTPWire

/// Does what the client asks for, as its thread would, and checks that.
extension ClientWorld {
    mutating func performEffects(_ outside: inout Environment) {
        while let effect = client.effects.takeFirst() { perform(effect, &outside) }
        guard client.visitCount > 0, !isVisitScheduled else { return }
        isVisitScheduled = true
        outside.schedule(.visitClients, in: 1000)
    }

    private mutating func perform(_ effect: ClientEffect, _ outside: inout Environment) {
        switch effect {
        case .send(let order):
            send([UInt8](client.effects.bytes(of: order)), through: order.flow, &outside)
        case .sendBlocks(let order): sendBlocks(order, &outside)
        case .begin(let slot, let capacity):
            sessions[owners[slot]].hasBegun = true
            sessions[owners[slot]].content.begin(capacity: capacity)
            scheduleMove(owners[slot], &outside)
        case .announce(let slot, let byteCount):
            let isPossible = outside.checker.isPossible(
                byteCount: byteCount, of: sessions[owners[slot]].task)
            outside.checker.expect(isPossible, "tsize is wrong")
        case .keep(let order):
            let violation = sessions[owners[order.slot]].content.keep(
                [UInt8](order.payload), at: Int(order.offset))
            if let violation { outside.checker.fail(violation) }
        case .handOver(let slot, let byteCount):
            if let violation = sessions[owners[slot]].content.handOver(Int(byteCount)) {
                outside.checker.fail(violation)
            }
            scheduleMove(owners[slot], &outside)
        case .awaitContent(let slot):
            sessions[owners[slot]].content.isAwaited = true
            client.stepAwaited(slot, sessions[owners[slot]].content.position)
        case .end(let slot): end(owners[slot], client.takeResult(), &outside)
        case .startAgain(let slot):
            outside.checker.noteStartedAgain()
            begin(sessions[owners[slot]].machine, asking: Options(), &outside)
        case .release(_, let socket):
            let session = Int(socket)
            sessions[session].slot = nil
            if open[sessions[session].endpoint] == session {
                open[sessions[session].endpoint] = nil
            }
        }
    }

    private mutating func send(
        _ bytes: [UInt8], through flow: Flow, _ outside: inout Environment
    ) {
        let session = sessions[Int(flow.socket)]
        guard !session.isGone else { return }
        if bytes[1] <= Opcode.wrq.rawValue {
            if let before = session.request, before != bytes {
                outside.checker.noteAskedAnew(session.endpoint)
            }
            sessions[Int(flow.socket)].request = bytes
        }
        outside.send(bytes, from: session.endpoint, to: flow.peer)
    }

    private mutating func sendBlocks(_ order: ContentOrder, _ outside: inout Environment) {
        guard !outside.meets(perMille: outside.faults.noRoomPerMille) else {
            return client.didFindNoRoom(order)
        }
        let blksize = client.table.blksize(of: order.slot)
        let rollover = client.table.rollover(of: order.slot)
        let count = min(order.count, batchMax)
        for block in order.first..<(order.first + UInt64(count)) {
            let (payload, violation) = sessions[owners[order.slot]].content.payload(
                ofBlock: block, blksize: blksize, end: Int(order.end))
            if let violation { return outside.checker.fail(violation) }
            let wire = BlockNumber(block, rollover: rollover)
            let flow = client.table.flow(of: order.slot)
            send(.data(wire, payload: payload), through: flow, &outside)
        }
        client.didSend(order, count: count)
    }

    // MARK: The end of a transfer

    private mutating func end(
        _ number: Int, _ result: Result<ClientSummary, ClientFailure>, _ outside: inout Environment
    ) {
        guard !sessions[number].isGone else { return }
        switch result {
        case .success(let summary):
            outside.checker.noteEnd(.done, isServer: false)
            check(number, summary, &outside)
            finish(number, &outside)
        case .failure(.unacknowledged):
            outside.checker.noteEnd(.doneUnacknowledged, isServer: false)
            finish(number, &outside)
        case .failure(.refused(let code, _)):
            outside.checker.noteEnd(.aborted, isServer: false)
            stepRefused(number, code, &outside)
        case .failure(.noAnswer), .failure(.silence):
            outside.checker.noteEnd(.timedOut, isServer: false)
            retryAfterFailure(number, &outside)
        case .failure(.negotiation(let error)):
            outside.checker.fail("an unacceptable OACK: \(error)")
        // The machine has aborted it.
        case .failure(.cancelled): break
        case .failure(let failure):
            outside.checker.fail("a client fails with \(failure)")
        }
    }

    private func check(
        _ number: Int, _ summary: ClientSummary, _ outside: inout Environment
    ) {
        let session = sessions[number]
        guard session.content.isReceiving else {
            return outside.checker.noteUploadDone(session.task.name)
        }
        outside.checker.noteDownload(
            Array(session.content.bytes[..<session.content.handedOver]), of: session.task)
        outside.checker.expect(
            summary.byteCount == UInt64(session.content.bytes.count),
            "a client has other bytes of \(session.task.name) than it says")
    }

    private mutating func stepRefused(
        _ number: Int, _ code: ErrorCode, _ outside: inout Environment
    ) {
        guard sessions[number].hasBegun || code != .notDefined else {
            // The server is busy.
            return retry(number, after: 3_000_000_000, &outside)
        }
        guard sessions[number].task.isMissing else { return retryAfterFailure(number, &outside) }
        outside.checker.expect(code == .fileNotFound, "another ERROR than of a missing file")
        finish(number, &outside)
    }
}
