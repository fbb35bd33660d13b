internal import TFTPCore
internal import TFTPMetrics
internal import TFTPStore
internal import TFTPWire

/// Why there will be no transfer, as the client is told.
struct Refusal: Error {
    var code: ErrorCode
    var message: StaticString
    private(set) var isLimit = false
    var failure: StoreFailure?
    /// What the log says; the client hears less.
    private(set) var reason: RefusalReason

    init(_ code: ErrorCode, _ message: StaticString, _ reason: RefusalReason) {
        self.code = code
        self.message = message
        self.reason = reason
    }

    init(_ failure: StoreFailure) { self.init(failure, because: failure.reason) }

    init(_ failure: StoreFailure, because reason: RefusalReason) {
        self.init(failure.code, failure.message, reason)
        self.failure = failure
    }

    /// Against the access list: told once, and silence after.
    static let notPermitted = Refusal(limit: .access)
    /// Beyond a limit of its client or network: the same.
    static let limited = Refusal(limit: .limit)

    private init(limit: RefusalReason) {
        code = .accessViolation
        message = "Not permitted, or too many requests"
        isLimit = true
        reason = limit
    }

    /// The bytes of the message.
    var byteCount: Int { message.utf8CodeUnitCount }
}

/// A request judged by itself, before anything is asked about it; and refusals.
extension TransferServer {
    /// Judges a request by its sender, its seal, its mode, its name and the policy. Then it is the
    /// current one of `pendings`.
    func accept(_ request: Request, of bytes: RawSpan, from flow: Flow) throws(Refusal) {
        let client = flow.peer.address
        guard access.permits(client, isUpload: request.opcode == .wrq) else { throw .notPermitted }
        let isSealed = try hasSeal(request, of: bytes, from: client)
        guard let mode = request.mode else {
            throw Refusal(.illegalOperation, "Unknown transfer mode", .unknownMode)
        }
        let place = pendings.current
        pendings[place].mode = mode
        pendings[place].opcode = request.opcode
        pendings[place].isSealed = isSealed
        try keepName(of: request, &pendings[place].name)
        pendings[place].options = Options(parsing: request.options)
        pendings[place].kind = Fingerprint(
            pendings[place].options, filename: pendings[place].name.bytes)
        try keepPolicy(of: request, from: client, &pendings[place])
    }

    private func keepName(of request: Request, _ name: inout FileName) throws(Refusal) {
        do throws(NameError) {
            if keepsNames {
                try name.replace(unjudged: request.filename)
            } else {
                try name.replace(normalising: request.filename)
            }
        } catch {
            guard error != .tooLong else { throw Refusal(.notFound, because: .nameTooLong) }
            throw Refusal(.forbidden, because: .invalidName)
        }
        guard !name.namesDirectory, !name.isReserved else {
            throw Refusal(.forbidden, because: .reservedName)
        }
    }

    private func keepPolicy(
        of request: Request, from client: Address, _ pending: inout PendingRequest
    ) throws(Refusal) {
        let policy =
            policies.dependsOnFolder
            ? try folderPolicy(of: request, from: client, pending.kind)
            : policies.policy(of: client, kind: pending.kind, name: pending.name.bytes)
        guard pending.isSealed || !policy.requiresSeal else { throw TransferServer.sealIsMissing }
        if request.opcode == .wrq {
            let isTaken = configuration.handlesWrites || policy.upload != .deny
            guard isTaken else { throw Refusal(.forbidden, because: .uploadsDenied) }
            guard keepsNames || pending.name.isWritable else {
                throw Refusal(.forbidden, because: .reservedName)
            }
        } else {
            guard policy.allowsRead else { throw Refusal(.forbidden) }
        }
        pending.options.remove(policy.refused)
        pending.policy = policy
    }

    /// The policy by the spelling that folders have. A name that goes up is refused: only the
    /// kernel knows which folder it leads to.
    private func folderPolicy(
        of request: Request, from client: Address, _ kind: Fingerprint
    ) throws(Refusal) -> RequestPolicy {
        guard let normal = try? FileName(normalising: request.filename), !normal.goesUp
        else { throw Refusal(.forbidden) }
        return policies.policy(of: client, kind: kind, name: normal.bytes)
    }

    // MARK: Refusing

    /// Refuses a request that got no slot. Refusals beyond the budget are not sent.
    mutating func refuse(
        _ request: Request, of bytes: RawSpan, _ flow: Flow, _ refusal: Refusal
    ) {
        counters.add(.requestsRefused)
        if refusal.isLimit {
            counters.add(.requestsLimited)
            guard access.tells(flow.peer.address, now: now) else { return }
        }
        guard
            takeErrorBudget(
                flow, requestByteCount: bytes.byteCount, messageByteCount: refusal.byteCount)
        else { return }
        sendError(to: flow, refusal.code, refusal.message)
        var record = TransferRecord(refused: flow, isUpload: request.opcode == .wrq)
        record.errorCode = refusal.code
        record.reason = refusal.reason
        record.asked = Options(parsing: request.options)
        record.fingerprint = Fingerprint(record.asked, filename: request.filename)
        record.mode = request.mode ?? .octet
        record.name = RecordName(request.filename)
        record.isLogged = isWorthALine(refusal.reason)
        effects.append(record)
    }

    /// Refuses a request that has a slot.
    mutating func refuse(_ slot: Int, _ place: UInt32, _ refusal: Refusal) {
        if refusal.failure == .quota {
            counters.add(.requestsLimited)
            guard access.tells(table.flow(of: slot).peer.address, now: now) else {
                counters.add(.requestsRefused)
                table.setSubject(of: slot, TransferServer.noPending)
                return release(slot)
            }
        }
        sendError(slot, refusal.code, refusal.message)
        noteRefusal(slot, place, refusal.code, refusal.failure, refusal.reason)
    }

    /// The handler has said no, with a code and words of its own.
    mutating func refuseAsHandlerSays(_ slot: Int, _ place: UInt32) {
        let note = unsafe memory.notes[Int(place)]
        let byteCount = Packet.errorByteCountMin + Int(note.text.byteCount)
        if mayAnswer(slot, byteCount: byteCount, cost: ReplyBudget.errorCost) {
            sendPacket(slot, byteCount: byteCount) { output in
                Packet.writeError(code: note.errorCode, message: note.text.bytes, to: &output)
            }
        }
        noteRefusal(
            slot, place, note.errorCode, nil,
            note.errorCode == .fileNotFound ? .notFound : .handlerRefused)
    }

    /// The client has been told; the slot goes.
    private mutating func noteRefusal(
        _ slot: Int, _ place: UInt32, _ code: ErrorCode, _ failure: StoreFailure?,
        _ reason: RefusalReason
    ) {
        counters.add(.requestsRefused)
        var record = TransferRecord(
            refused: table.flow(of: slot), isUpload: pendings[place].opcode == .wrq)
        record.errorCode = code
        record.reason = reason
        record.asked = pendings[place].options
        record.mode = pendings[place].mode
        record.fingerprint = pendings[place].kind
        record.name = RecordName(pendings[place].name.bytes)
        record.failure = failure
        record.isLogged = isWorthALine(reason)
        effects.append(record)
        table.setSubject(of: slot, TransferServer.noPending)
        release(slot)
    }
}
