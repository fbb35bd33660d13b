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

    /// Against the access list, or beyond a limit of its client or network: told once, and silence
    /// after.
    static let limited = Refusal(
        .accessViolation, "Not permitted, or too many requests", isLimit: true)

    private init(_ code: ErrorCode, _ message: StaticString, isLimit: Bool) {
        self.code = code
        self.message = message
        self.isLimit = isLimit
        reason = .policy
    }

    /// The bytes of the message.
    var byteCount: Int { message.utf8CodeUnitCount }
}

/// A request judged by itself, before anything is asked about it; and refusals.
extension TransferServer {
    /// Judges a request by its sender, its seal, its mode, its name and the policy.
    func accept(
        _ request: Request, of bytes: RawSpan, from flow: Flow
    ) throws(Refusal) -> PendingRequest {
        let isUpload = request.opcode == .wrq
        guard access.permits(flow.peer.address, isUpload: isUpload) else { throw .limited }
        let isSealed = try hasSeal(request, of: bytes, from: flow.peer.address)
        guard let mode = request.mode else {
            throw Refusal(.illegalOperation, "Unknown transfer mode", .unknownMode)
        }
        let name: FileName
        do throws(NameError) {
            name =
                keepsNames
                ? try FileName(unjudged: request.filename)
                : try FileName(normalising: request.filename)
        } catch {
            guard error != .tooLong else { throw Refusal(.notFound, because: .nameTooLong) }
            throw Refusal(.forbidden, because: .invalidName)
        }
        guard !name.namesDirectory, !name.isReserved else {
            throw Refusal(.forbidden, because: .reservedName)
        }
        let policyName = try policyName(of: name, request)
        var options = Options(parsing: request.options)
        let kind = Fingerprint(options, filename: name.bytes)
        let policy = policies.policy(of: flow.peer.address, kind: kind, name: policyName)
        guard isSealed || !policy.requiresSeal else { throw TransferServer.sealIsMissing }
        if request.opcode == .wrq {
            let isTaken = configuration.handlesWrites || policy.upload != .deny
            guard isTaken else { throw Refusal(.forbidden, because: .uploadsDenied) }
            guard keepsNames || name.isWritable else {
                throw Refusal(.forbidden, because: .reservedName)
            }
        } else {
            guard policy.allowsRead else { throw Refusal(.forbidden) }
        }
        options.remove(policy.refused)
        return PendingRequest(
            name: name, options: options, mode: mode, opcode: request.opcode,
            isSealed: isSealed, kind: kind, policy: policy)
    }

    /// The spelling of a name that policies of folders are about. Where there are any, a name that
    /// goes up is refused: only the kernel knows which folder it leads to.
    private func policyName(of name: FileName, _ request: Request) throws(Refusal) -> FileName {
        guard policies.dependsOnFolder else { return name }
        guard let normal = keepsNames ? try? FileName(normalising: request.filename) : name,
            !normal.goesUp
        else { throw Refusal(.forbidden) }
        return normal
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
        effects.append(record)
    }

    /// Refuses a request that has a slot.
    mutating func refuse(_ slot: Int, _ pending: PendingRequest, _ refusal: Refusal) {
        sendError(slot, refusal.code, refusal.message)
        noteRefusal(slot, pending, refusal.code, refusal.failure, refusal.reason)
    }

    /// The handler has said no, with a code and words of its own.
    mutating func refuseAsHandlerSays(_ slot: Int, _ pending: PendingRequest, _ place: UInt32) {
        let note = unsafe memory.notes[Int(place)]
        let byteCount = Packet.errorByteCountMin + Int(note.text.byteCount)
        if mayAnswer(slot, byteCount: byteCount, cost: ReplyBudget.errorCost) {
            sendPacket(slot, byteCount: byteCount) { output in
                Packet.writeError(code: note.errorCode, message: note.text.bytes, to: &output)
            }
        }
        noteRefusal(
            slot, pending, note.errorCode, nil,
            note.errorCode == .fileNotFound ? .notFound : .handlerRefused)
    }

    /// The client has been told; the slot goes.
    private mutating func noteRefusal(
        _ slot: Int, _ pending: PendingRequest, _ code: ErrorCode, _ failure: StoreFailure?,
        _ reason: RefusalReason
    ) {
        counters.add(.requestsRefused)
        var record = TransferRecord(
            refused: table.flow(of: slot), isUpload: pending.opcode == .wrq)
        record.errorCode = code
        record.reason = reason
        record.asked = pending.options
        record.mode = pending.mode
        record.fingerprint = pending.kind
        record.name = RecordName(pending.name.bytes)
        record.failure = failure
        effects.append(record)
        table.setSubject(of: slot, TransferServer.noPending)
        release(slot)
    }
}
