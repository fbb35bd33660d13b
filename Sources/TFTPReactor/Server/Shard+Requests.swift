internal import CLinux
internal import Files
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPStore
internal import TFTPWire

/// RRQ and WRQ: from a name to a transfer.
extension Shard {
    mutating func handle(_ request: Request, of bytes: RawSpan, _ flow: Flow, _ socket: Int) {
        link.counters.add(request.opcode == .rrq ? .requestsRead : .requestsWrite)
        let hash = bytes.requestHash
        var rival: Int?
        var passedSocket: UInt16?
        judging: while true {
            switch table.judge(flow, requestHash: hash) {
            case .new: break judging
            case .pending:
                link.counters.add(.requestsRepeated)
                return
            case .repeated(let slot):
                link.counters.add(.requestsRepeated)
                perform(table.stepRepeatedRequest(slot, now: now), slot)
                return
            case .rival(let slot):
                guard !isDraining else { return }
                if canCoexist(flow, listener: socket, request.opcode) {
                    rival = slot
                    passedSocket = table.flow(of: slot).socket
                    break judging
                }
                guard isRestart(slot), !isProtected(slot) else { return }
                end(slot, replacedOutcome(slot))
            case .replace(let slot):
                guard !isDraining else { return }
                // Packets of the old transfer may still be under way to its socket.
                passedSocket = table.flow(of: slot).socket
                guard isProtected(slot) else {
                    end(slot, replacedOutcome(slot))
                    continue judging
                }
                guard mayBeReplayed(slot), Options.sealValue(in: request.options) != nil,
                    canCoexist(flow, listener: socket, request.opcode)
                else { return }
                rival = slot
                break judging
            }
        }
        guard !isDraining else { return }
        open(
            request, of: bytes, hash: hash, flow, listener: socket, rival: rival,
            passing: passedSocket)
    }

    /// Whether there is another socket for a second transfer of the same client.
    private func canCoexist(_ flow: Flow, listener: Int, _ opcode: Opcode) -> Bool {
        guard !configuration.isSinglePort else { return false }
        let isIPv6 = !flow.peer.address.isIPv4
        let pools = port.sockets[listener].pools
        return pools.pool(isUpload: opcode == .wrq, isIPv6: isIPv6).count > 1
    }

    /// Where one port serves all, two transfers of one client can not be told apart: a late duplicate of the
    /// request comes within moments of the beginning, a restart does not.
    private func isRestart(_ slot: Int) -> Bool {
        table.summary(of: slot, now: now).milliseconds >= 100
    }

    /// A client that asks for something else has got what it had asked for, if all of it was sent.
    func replacedOutcome(_ slot: Int) -> Outcome {
        table.isLastBlockOut(slot) ? .doneUnacknowledged : .replaced
    }

    private mutating func open(
        _ request: Request, of bytes: RawSpan, hash: UInt32, _ flow: Flow, listener: Int,
        rival: Int?, passing passedSocket: UInt16?
    ) {
        let pending: PendingRequest
        do throws(Refusal) {
            pending = try accept(request, of: bytes, from: flow.peer.address)
        } catch {
            refuse(request, flow, error)
            return
        }
        let spoken = transferFlow(
            flow, listener: listener, isUpload: request.opcode == .wrq, passing: passedSocket)
        guard
            let slot = table.open(
                spoken, opcode: request.opcode, requestHash: hash, now: now)
        else {
            link.counters.add(.requestsBusy)
            refuse(request, flow, Refusal(.busy))
            return
        }
        if let rival { table.setRivals(slot, rival) }
        table.setSubject(of: slot, Shard.noPending)
        link.noteActive(table.activeCount - dallyingCount)
        if request.opcode == .wrq {
            askUpload(slot, pending, bytes)
        } else if pending.isSealed || configuration.reads == .beforeFolder {
            askHandler(slot, pending, packet: bytes)
        } else {
            resolve(slot, pending)
        }
    }

    /// The subject of a slot that waits for nothing and has none yet.
    static let noPending = UInt32.max

    /// Judges a request by itself: its seal, its mode, its name and the policy.
    private func accept(
        _ request: Request, of bytes: RawSpan, from address: Address
    ) throws(Refusal) -> PendingRequest {
        let isSealed = try hasSeal(request, of: bytes, from: address)
        guard let mode = request.mode else {
            throw Refusal(.illegalOperation, "Unknown transfer mode")
        }
        let name: FileName
        do throws(NameError) {
            name = try FileName(normalising: request.filename)
        } catch {
            throw Refusal(error == .tooLong ? .notFound : .forbidden)
        }
        guard !name.namesDirectory, !name.isReserved else { throw Refusal(.forbidden) }
        if request.opcode == .wrq {
            guard configuration.takesUploads else { throw Refusal(.forbidden) }
            guard name.isWritable else { throw Refusal(.forbidden) }
        }
        return PendingRequest(
            name: name, options: Options(parsing: request.options), mode: mode,
            opcode: request.opcode, isSealed: isSealed)
    }

    /// The flow that the transfer will speak: from one of the shard's TID sockets, or from the listener itself.
    private mutating func transferFlow(
        _ flow: Flow, listener: Int, isUpload: Bool, passing passedSocket: UInt16?
    ) -> Flow {
        let socket = port.sockets[listener]
        guard !configuration.isSinglePort else { return flow }
        let isIPv6 = !flow.peer.address.isIPv4
        let pool = socket.pools.pool(isUpload: isUpload, isIPv6: isIPv6)
        nextDownloadSocket &+= 1
        var number = pool.first + nextDownloadSocket % pool.count
        if number == passedSocket {
            number = pool.first + (nextDownloadSocket &+ 1) % pool.count
        }
        return Flow(peer: flow.peer, local: flow.local, socket: number)
    }

    // MARK: Names

    /// Finds the file of an RRQ: here and now where the kernel has the name in memory, else through the store.
    private mutating func resolve(_ slot: Int, _ pending: PendingRequest) {
        // Which folder the name is to be looked for in, the store knows alone where there are snapshots.
        guard shared.rootIsLocal && !configuration.hasSnapshots else { return ask(slot, pending) }
        var status = clinux_status()
        var failure = look(for: pending.name, &status)
        if failure == .notFound, let stripped = pending.name.strippingTrailingJunk() {
            failure = look(for: stripped, &status)
        }
        switch failure {
        case .wait: return ask(slot, pending)
        case .notFound where configuration.reads == .afterFolder: return askHandler(slot, pending)
        case .notFound: return refuse(slot, pending, Refusal(.notFound))
        case .failed(let failure): return refuse(slot, pending, Refusal(failure))
        case .found: break
        }
        guard status.is_regular else { return refuse(slot, pending, Refusal(.forbidden)) }
        guard let image = identities[FileIdentity(status)], shared.imageIndex.retain(image) else {
            return ask(slot, pending)
        }
        guard shared.imageIndex.failure(of: image) == 0 else {
            shared.imageIndex.release(image)
            return ask(slot, pending)
        }
        startSending(slot, pending, image, shared.imageIndex.byteCount(of: image))
    }

    private enum Look: Equatable {
        case found
        case notFound
        /// Only a wait can tell.
        case wait
        case failed(StoreFailure)
    }

    /// Looks at what `name` stands for, without waiting and without opening it.
    private func look(for name: FileName, _ status: inout clinux_status) -> Look {
        let resolve = UInt64(CLINUX_RESOLVE_BENEATH | CLINUX_RESOLVE_AT_ONCE)
        let file = unsafe name.withUnsafeCString { path in
            unsafe clinux_open_beneath(shared.root, path, clinux_flags_path(), 0, resolve)
        }
        // EAGAIN: not in memory. EXDEV: out of the root, or only on another file system.
        if file == -11 || file == -18 { return .wait }
        guard file >= 0 else {
            let failure = StoreFailure(errno: -file)
            return failure == .notFound ? .notFound : .failed(failure)
        }
        defer { clinux_close(file) }
        let result = unsafe clinux_status_of(file, &status)
        return result == 0 ? .found : .failed(StoreFailure(errno: -result))
    }

    private mutating func ask(_ slot: Int, _ pending: PendingRequest) {
        guard let place = keep(slot, pending) else { return }
        tellStore(
            .open(slot: UInt32(slot), generation: table.generation(of: slot), pending: place))
    }

    private mutating func askUpload(_ slot: Int, _ pending: PendingRequest, _ packet: RawSpan) {
        let byteCount = pending.options.tsize ?? 0
        guard byteCount <= configuration.uploadByteCountMax else {
            return refuse(slot, pending, Refusal(.tooLarge))
        }
        guard !uploads.isFull else { return refuse(slot, pending, Refusal(.busy)) }
        guard !configuration.handlesWrites && !pending.isSealed else {
            return askHandler(slot, pending, packet: packet)
        }
        guard let place = keep(slot, pending) else { return }
        tellStore(
            .openUpload(
                slot: UInt32(slot), generation: table.generation(of: slot), pending: place,
                byteCount: byteCount))
    }

    /// Puts the request where the store thread can read it. With no place free it is dropped, and the client
    /// repeats it.
    mutating func keep(_ slot: Int, _ pending: PendingRequest) -> UInt32? {
        guard let place = freePendings.take() else {
            link.counters.add(.requestsBusy)
            release(slot)
            return nil
        }
        unsafe (link.pendings + Int(place)).initialize(to: pending)
        if pending.isSealed || configuration.hasSnapshots || mayAskHandler(pending.opcode) {
            let flow = table.flow(of: slot)
            let note = HandlerEndpoints(peer: flow.peer, local: flow.local)
            unsafe (link.notes + Int(place)).initialize(to: note)
        }
        table.setSubject(of: slot, place)
        return place
    }

    mutating func tellStore(_ request: StoreRequest) {
        // As many places as transfers and chunks, and each asks for one thing at a time.
        let isPut = link.toStore.put(request)
        assert(isPut)
        storeIsWoken = true
    }

    // MARK: Starting

    /// - Parameter byteCount: `.max` when nobody knows it yet.
    mutating func startSending(
        _ slot: Int, _ pending: PendingRequest, _ image: ImageID, _ byteCount: UInt64,
        isSupplied: Bool = false
    ) {
        guard !pending.options.beginsBeyond(byteCount: byteCount, mode: pending.mode) else {
            letGo(image, isSupplied: isSupplied)
            let refusal = Refusal(.optionNegotiation, "Offset beyond the end of the file")
            return refuse(slot, pending, refusal)
        }
        let isText = pending.mode == .netascii
        let known = byteCount == .max ? nil : byteCount
        let grant =
            seals.grant(of: slot)
            ?? pending.options.grant(
                limits: grantLimits(slot, isUpload: false, isSupplied: isSupplied),
                byteCount: known, mode: pending.mode, opcode: .rrq)
        var entry = subject(of: pending, grant)
        let part = grant.part(of: byteCount)
        entry.image = image
        entry.partBegin = part.lowerBound
        entry.partEnd = part.upperBound
        entry.isSupplied = isSupplied
        // What has no end yet gets one for each transfer by itself.
        let isShared = known != nil && !isText
        table.setSubject(of: slot, isShared ? contents.share(entry) : contents.take(entry))
        link.counters.add(.transfersStarted)
        if !fitsSegmented(slot, blksize: Int(grant.blksize)) { setUnsegmented(slot, grant.blksize) }
        let count = isText || known == nil ? nil : part.upperBound - part.lowerBound
        perform(table.startSending(slot, byteCount: count, grant: grant, now: now), slot)
    }

    /// Releases an image that this shard holds.
    mutating func letGo(_ image: ImageID, isSupplied: Bool) {
        if isSupplied { releaseSupply(image) } else { shared.imageIndex.release(image) }
    }

    mutating func startReceiving(_ slot: Int, _ pending: PendingRequest, storeUpload: UInt32) {
        guard let upload = uploads.take(storeUpload: storeUpload) else {
            tellStore(.abort(upload: storeUpload))
            return refuse(slot, pending, Refusal(.busy))
        }
        let grant =
            seals.grant(of: slot)
            ?? pending.options.grant(
                limits: grantLimits(slot, isUpload: true), byteCount: nil, mode: pending.mode,
                opcode: .wrq)
        var entry = subject(of: pending, grant)
        entry.isUpload = true
        entry.upload = upload
        table.setSubject(of: slot, contents.take(entry))
        link.counters.add(.transfersStarted)
        perform(table.startReceiving(slot, grant: grant, now: now), slot)
    }

    /// What the record of the transfer will say of it.
    private func subject(of pending: PendingRequest, _ grant: Grant) -> ContentTable.Entry {
        var entry = ContentTable.Entry()
        entry.mode = pending.mode
        entry.options = grant.options
        entry.isSealed = grant.isSealed
        entry.fingerprint = Fingerprint(pending.options)
        entry.name = RecordName(pending.name.bytes)
        return entry
    }

    /// What may be granted: the configuration (but no window of 65535, whose last ACK is the one before its first on the
    /// wire), and what passes the link to this client in one piece. Fragments
    /// break many boot ROMs.
    func grantLimits(_ slot: Int, isUpload: Bool, isSupplied: Bool = false) -> GrantLimits {
        var blksizeMax = configuration.blksizeMax
        if let mtu = mtu(of: table.flow(of: slot).local) {
            let overhead = table.flow(of: slot).peer.address.isIPv4 ? 32 : 52
            blksizeMax = min(blksizeMax, UInt16(clamping: max(8, Int(mtu) - overhead)))
        }
        if isUpload && configuration.isSinglePort {
            blksizeMax = min(blksizeMax, ShardLimits.singlePortBlksizeMax)
        }
        return GrantLimits(
            blksizeMax: blksizeMax, windowsizeMax: min(configuration.windowsizeMax, 65534),
            windowByteCountMax: isSupplied
                ? ImageCache.supplyWindowByteCountMax : Limits.windowByteCountMax)
    }

    /// The MTU of the link that has this address: 1500 for one that came after the start, and nil for none.
    func mtu(of local: Address) -> UInt32? {
        for index in unsafe 0..<shared.interfaces.count {
            let interface = unsafe shared.interfaces[index]
            let isSame =
                Address(interface.address) == local
                || (local.isLoopback && Address(interface.address).isLoopback)
            if isSame && interface.mtu > 0 { return interface.mtu }
        }
        return local.isUnspecified ? nil : 1500
    }

    // MARK: Refusing

    /// Why there will be no transfer, as the client is told.
    struct Refusal: Error {
        var code: ErrorCode
        var message: StaticString

        init(_ code: ErrorCode, _ message: StaticString) {
            self.code = code
            self.message = message
        }

        init(_ failure: StoreFailure) { self.init(failure.code, failure.message) }
    }

    /// Refuses a request that got no slot.
    private mutating func refuse(_ request: Request, _ flow: Flow, _ refusal: Refusal) {
        link.counters.add(.requestsRefused)
        sendError(to: flow, refusal.code, refusal.message, userData: Tag.sendToStranger)
        var record = TransferRecord(refused: flow, isUpload: request.opcode == .wrq)
        record.errorCode = refusal.code
        record.mode = request.mode ?? .octet
        record.name = RecordName(request.filename)
        put(record)
    }

    /// Refuses a request that has a slot.
    mutating func refuse(_ slot: Int, _ pending: PendingRequest, _ refusal: Refusal) {
        sendError(slot, refusal.code, refusal.message)
        noteRefusal(slot, pending, refusal.code)
    }

    /// The client has been told; the slot goes.
    mutating func noteRefusal(_ slot: Int, _ pending: PendingRequest, _ code: ErrorCode) {
        link.counters.add(.requestsRefused)
        var record = TransferRecord(
            refused: table.flow(of: slot), isUpload: pending.opcode == .wrq)
        record.errorCode = code
        record.mode = pending.mode
        record.fingerprint = Fingerprint(pending.options)
        record.name = RecordName(pending.name.bytes)
        put(record)
        table.setSubject(of: slot, Shard.noPending)
        release(slot)
    }
}

extension TransferRecord {
    init(refused flow: Flow, isUpload: Bool) {
        self.init(
            outcome: .refused, isUpload: isUpload, mode: .octet, peer: flow.peer,
            local: flow.local, byteCount: 0, blksize: 512, windowsize: 1, timeoutSeconds: 0,
            options: Options(), milliseconds: 0, retransmissionCount: 0, errorCode: .notDefined,
            fingerprint: .other, name: RecordName())
    }
}

extension RawSpan {
    /// FNV-1a over all bytes: tells a repeated request from another one of the same client.
    var requestHash: UInt32 {
        var hash: UInt32 = 0x811C_9DC5
        for index in 0..<byteCount {
            // In bounds: the loop ends at the span's own count.
            hash ^= unsafe UInt32(unsafeLoad(fromByteOffset: index, as: UInt8.self))
            hash = hash &* 0x0100_0193
        }
        return hash
    }
}
