internal import TFTPCore
internal import TFTPMetrics
internal import TFTPStore
internal import TFTPWire

/// RRQ and WRQ: which become a transfer, and which transfers they end.
extension TransferServer {
    mutating func stepRequest(_ request: Request, of bytes: RawSpan, _ flow: Flow) {
        counters.add(request.opcode == .rrq ? .requestsRead : .requestsWrite)
        let hash = bytes.requestHash
        var rival: Int?
        var passedSocket: UInt16?
        judging: while true {
            switch table.judge(flow, requestHash: hash) {
            case .new: break judging
            case .pending: return counters.add(.requestsRepeated)
            case .repeated(let slot):
                counters.add(.requestsRepeated)
                if makes(.refusesRepeats) { sendError(slot, .illegalOperation, "Repeated") }
                if isSpent(slot) {
                    // From the same socket: a client that was kept from answering may have the
                    // first answer still before it.
                    guard unproven.mayBeRenewed(slot, now: now) else { return }
                    unproven.renew(slot, now: now)
                }
                return perform(table.stepRepeatedRequest(slot, now: now), slot)
            case .rival(let slot):
                guard !isClosed else { return }
                if canCoexist(flow, request.opcode) {
                    rival = slot
                    passedSocket = table.flow(of: slot).socket
                    break judging
                }
                guard isRestart(slot), !isProtected(slot) else { return suspectRestart(slot) }
                end(slot, replacedOutcome(slot))
            case .replace(let slot):
                guard !isClosed else { return }
                // Packets of the old transfer may still be under way to its socket.
                passedSocket = table.flow(of: slot).socket
                guard isProtected(slot) else {
                    end(slot, replacedOutcome(slot))
                    continue judging
                }
                guard mayBeReplayed(slot), Options.sealValue(in: request.options) != nil,
                    canCoexist(flow, request.opcode)
                else { return }
                rival = slot
                break judging
            }
        }
        guard !isClosed else { return }
        open(request, of: bytes, hash: hash, flow, rival: rival, passing: passedSocket)
    }

    /// Whether no new transfer is begun.
    private var isClosed: Bool { life.isDraining && !makes(.opensWhileDraining) }

    /// Whether there is another socket for a second transfer of the same client.
    private func canCoexist(_ flow: Flow, _ opcode: Opcode) -> Bool {
        guard !configuration.isSinglePort, !makes(.neverLetsCoexist) else { return false }
        return sockets.poolCount(flow, isUpload: opcode == .wrq) > 1
    }

    /// If one port serves all clients, two transfers of one client have the same flow: a late
    /// duplicate of the request comes within moments of progress, a restart does not.
    private func isRestart(_ slot: Int) -> Bool {
        table.silenceNanoseconds(of: slot, now: now) >= ServingLimits.restartNanoseconds
            || makes(.restartsAtOnce) || makes(.neverLetsCoexist)
    }

    /// The client may have begun anew all the same: silence will tell. What is made on the way can
    /// not begin anew.
    private mutating func suspectRestart(_ slot: Int) {
        guard !table.isReceiver(slot), !table.isOpening(slot), !isSealed(slot) else { return }
        let entry = contents[table.subject(of: slot)]
        guard entry.mode == .octet, !entry.isSupplied else { return }
        table.suspectRestart(slot, now: now)
    }

    /// A client that asks for something else has got what it had asked for, if all of it was sent.
    ///
    /// A transfer that a duplicate of its request had opened is none of the client's.
    func replacedOutcome(_ slot: Int) -> Outcome {
        guard table.isConfirmed(slot) || !table.isRivalled(slot) else { return .ghost }
        return table.isLastBlockOut(slot) && !makes(.forgetsLastBlock)
            ? .doneUnacknowledged : .replaced
    }

    private mutating func open(
        _ request: Request, of bytes: RawSpan, hash: UInt32, _ flow: Flow, rival: Int?,
        passing passedSocket: UInt16?
    ) {
        do throws(Refusal) {
            try accept(request, of: bytes, from: flow)
        } catch {
            return refuse(request, of: bytes, flow, error)
        }
        let isUpload = request.opcode == .wrq
        guard limits.begin(flow.peer.address, now: now) else {
            return refuse(request, of: bytes, flow, .limited)
        }
        let rival = makeRoom(keeping: rival)
        let spoken =
            configuration.isSinglePort
            ? flow : sockets.transferFlow(flow, isUpload: isUpload, passing: passedSocket)
        guard !unproven.isFull,
            let slot = table.open(spoken, opcode: request.opcode, requestHash: hash, now: now)
        else {
            limits.end(flow.peer.address)
            counters.add(.requestsBusy)
            counters.add(.shortOfTransfers)
            return refuse(request, of: bytes, flow, Refusal(.busy))
        }
        if let rival { table.setRivals(slot, rival) }
        table.setSubject(of: slot, TransferServer.noPending)
        mtus[slot] = 0
        unproven.append(slot, requestByteCount: bytes.byteCount, now: now)
        if isUpload {
            askUpload(slot, bytes)
        } else if pendings[pendings.current].isSealed || configuration.reads == .beforeFolder {
            askHandler(slot, packet: bytes)
        } else if configuration.looksAtOnce {
            effects.append(.look(slot: slot))
        } else {
            ask(slot)
        }
    }

    // MARK: Questions to the store, about the current request

    mutating func ask(_ slot: Int) {
        guard let place = keep(slot) else { return }
        tellStore(
            .open(slot: UInt32(slot), generation: table.generation(of: slot), pending: place))
    }

    private mutating func askUpload(_ slot: Int, _ packet: RawSpan) {
        let current = pendings.current
        let byteCount = pendings[current].options.tsize ?? 0
        guard byteCount <= pendings[current].policy.uploadByteCountMax else {
            return refuse(slot, current, Refusal(.tooLarge))
        }
        // Room is made when the file is open: a request alone takes nothing from an upload.
        guard !uploads.isFull || uploadInTheWay() != nil else {
            counters.add(.requestsBusy)
            counters.add(.shortOfUploads)
            return refuse(slot, current, Refusal(.busy))
        }
        guard !configuration.handlesWrites && !pendings[current].isSealed else {
            return askHandler(slot, packet: packet)
        }
        guard let place = keep(slot) else { return }
        tellStore(
            .openUpload(
                slot: UInt32(slot), generation: table.generation(of: slot), pending: place,
                byteCount: byteCount))
    }

    /// Passes a request to the handler. The store delivers the answer.
    ///
    /// - Parameter packet: of a sealed request.
    mutating func askHandler(_ slot: Int, packet: RawSpan = RawSpan()) {
        guard let place = keep(slot) else { return }
        if pendings[place].isSealed { keepSealed(packet, slot, place) }
        tellStore(
            .ask(slot: UInt32(slot), generation: table.generation(of: slot), pending: place))
    }

    /// Puts the request where the store can read it. With no place free it is dropped, and the
    /// client repeats it.
    private mutating func keep(_ slot: Int) -> UInt32? {
        guard let place = pendings.keepCurrent() else {
            counters.add(.requestsBusy)
            counters.add(.shortOfPendings)
            release(slot)
            return nil
        }
        let flow = table.flow(of: slot)
        unsafe (memory.notes + Int(place)).initialize(
            to: HandlerEndpoints(peer: flow.peer, local: flow.local))
        table.setSubject(of: slot, place)
        return place
    }

    mutating func tellStore(_ request: StoreRequest) { effects.append(.ask(request)) }
}

extension RawSpan {
    /// FNV-1a over all bytes: tells a repeated request from another one of the same client.
    var requestHash: UInt32 {
        var hash: UInt32 = 0x811C_9DC5
        for index in byteOffsets {
            hash ^= UInt32(byte(at: index))
            hash = hash &* 0x0100_0193
        }
        return hash
    }
}
