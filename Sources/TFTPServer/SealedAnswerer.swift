internal import Synchronization
internal import SystemPackage
internal import TFTPCore
internal import TFTPReactor
internal import TFTPSeal
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// What sealed requests are opened with, and what they may ask for.
final class SealedFolder: Sendable {
    private let latestKeys: Mutex<SealKeys>
    let requests = SealedRequests()
    /// From the server's start on.
    private let folder = Mutex<Folder?>(nil)

    init(keys: SealKeys) { latestKeys = Mutex(keys) }

    /// What requests are opened with from now on.
    var keys: SealKeys {
        get { latestKeys.withLock { $0 } }
        set { latestKeys.withLock { $0 = newValue } }
    }

    func begin(_ served: Folder) { folder.withLock { $0 = served } }

    var opened: Folder {
        guard let folder = folder.withLock({ $0 }) else {
            preconditionFailure("a request came before the server has started")
        }
        return folder
    }
}

/// Opens a sealed request, finds what it asks for, and seals that. All of it happens here, in a
/// task of the handlers: what shards send is sealed before they see it.
struct SealedAnswerer {
    let folder: SealedFolder
    /// When the handler is asked about an RRQ.
    let order: TFTPServing.HandlerOrder
    let isAskedOfWrites: Bool

    /// Bytes that are read, sealed and handed over at once: enough to make the cost per piece
    /// small.
    private static let pieceByteCount = 256 << 10

    /// - Parameter handler: is asked about the true name.
    func answer(
        _ question: HandlerRequest, _ packet: [UInt8], _ limits: GrantLimits,
        asking handler: @escaping @Sendable (HandlerRequest) async -> HandlerAnswer
    ) async throws -> HandlerAnswer {
        let request: OpenedRequest
        do {
            request = try OpenedRequest(packet, keys: folder.keys)
        } catch {
            // Without valid keys the ERROR cannot be sealed.
            return .refused(.accessViolation, error.reason)
        }
        guard let use = folder.requests.begin(request.identity) else {
            return .refused(.accessViolation, "Sealed request repeated")
        }
        guard let name = unsafe try? FileName(normalising: request.name.span.bytes) else {
            let (message, _) = try request.refuse(.accessViolation, "Access violation")
            return .refused(.accessViolation, message)
        }
        let asked = Asked(request: request, name: name, use: use)
        guard mayName(name, in: request) else {
            return try refuse(.accessViolation, "Access violation", asked)
        }
        var question = question
        question.name = unsafe name.bytes.withUnsafeBytes { unsafe Array($0) }
        question.mode = request.mode
        question.options = request.options
        question.sealed = nil
        question.isSealed = true
        switch request.opcode {
        case .wrq:
            let answer = await answerWrite(question, handler)
            return try seal(.answer(answer), for: asked, limits)
        default:
            if let refused = try await place(&question, name) {
                return try refuse(refused.code, "\(refused.message)", asked)
            }
            let found = try await answerRead(question, name, handler)
            return try seal(found, for: asked, limits)
        }
    }

    /// Settles which snapshot an RRQ is for, as the store does for a plain one; returns why it can
    /// not be.
    private func place(
        _ question: inout HandlerRequest, _ name: FileName
    ) async throws -> StoreFailure? {
        do {
            let address = question.peer.address
            question.place = try await question.snapshots?.placeAside(name, for: address)
            return nil
        } catch let failure as StoreFailure {
            // A snapshot that is not here may be somewhere else.
            return failure == .notFound ? nil : failure
        }
    }

    /// A request that is being answered.
    private struct Asked {
        let request: OpenedRequest
        let name: FileName
        let use: SealedRequests.Use
    }

    private func mayName(_ name: FileName, in request: OpenedRequest) -> Bool {
        !name.namesDirectory && !name.isReserved && (request.opcode == .rrq || name.isWritable)
    }

    // MARK: What is asked for

    private func answerWrite(
        _ question: HandlerRequest, _ handler: (HandlerRequest) async -> HandlerAnswer
    ) async -> HandlerAnswer {
        guard isAskedOfWrites else { return .store(name: question.name, policy: nil) }
        let answer = await handler(question)
        // Without a name it is the one that was asked for, which only we know.
        guard case .store(nil, let policy) = answer else { return answer }
        return .store(name: question.name, policy: policy)
    }

    /// What is to go under the seal.
    private enum Found {
        case file(Folder.File, FileIdentity)
        case answer(HandlerAnswer)
        /// What many may ask for at once: it comes in once, and is sealed for each.
        case shared(SharedContent)

        /// Of all of it, where that is known.
        var byteCount: UInt64? {
            switch self {
            case .file(_, let identity): identity.byteCount
            case .answer(.bytes(let bytes, _)): UInt64(bytes.count)
            case .answer(.stream(let byteCount, _, _)): byteCount
            case .shared(let content): content.byteCount
            case .answer: nil
            }
        }

        static let nothing = Found.answer(.refused(.fileNotFound, "File not found"))
    }

    private func answerRead(
        _ question: HandlerRequest, _ name: FileName,
        _ handler: (HandlerRequest) async -> HandlerAnswer
    ) async throws -> Found {
        if order != .beforeFolder, let found = try await open(name, question) { return found }
        guard order != .never else { return .nothing }
        switch await handler(question) {
        case .file: return try await open(name, question) ?? .nothing
        case .stream(let byteCount, let key?, let body):
            return .shared(
                SharedContent(key: key, byteCount: byteCount, request: question, body: body))
        case let answer: return .answer(answer)
        }
    }

    /// What the folder has under `name`; nil for nothing.
    private func open(_ name: FileName, _ question: HandlerRequest) async throws -> Found? {
        do {
            let file: Folder.File
            if let place = question.place {
                file = try await folder.opened.open(name, in: place)
            } else if question.snapshots == nil {
                file = try await folder.opened.open(name)
            } else {
                return nil
            }
            return .file(file, try await file.identity())
        } catch let error as Errno {
            let failure = StoreFailure(error)
            guard failure != .notFound else { return nil }
            return .answer(.refused(failure.code, "\(failure.message)"))
        }
    }

    private func send(
        _ part: Range<UInt64>, of file: Folder.File, _ identity: FileIdentity,
        to supply: SupplyWriter
    ) async throws {
        var offset = part.lowerBound
        while offset < part.upperBound {
            let count = min(UInt64(Self.pieceByteCount), part.upperBound - offset)
            let piece = try await file.read(at: offset, count: Int(count))
            offset += count
            guard piece.count == Int(count) else { throw ChangedFile() }
            let isLast = offset == part.upperBound
            if isLast, try await file.identity() != identity { throw ChangedFile() }
            try await supply.write(piece)
        }
    }

    // MARK: Under the seal

    private func seal(
        _ found: Found, for asked: Asked, _ limits: GrantLimits
    ) throws -> HandlerAnswer {
        let request = asked.request
        if case .answer(.refused(let code, let text)) = found {
            return try refuse(code, text, asked)
        }
        let byteCount = found.byteCount
        guard byteCount ?? 0 <= ImageCache.imageByteCountMax else {
            return try refuse(StoreFailure.tooLarge.code, "\(StoreFailure.tooLarge.message)", asked)
        }
        guard !request.options.beginsBeyond(byteCount: byteCount ?? .max, mode: request.mode) else {
            return try refuse(.optionNegotiation, "Offset beyond the end of the file", asked)
        }
        let grant = request.options.grant(
            limits: limits, byteCount: byteCount, mode: request.mode, opcode: request.opcode)
        guard Int(grant.blksize) >= SealedRequest.blksizeMin else {
            return try refuse(.optionNegotiation, "blksize is too small for a seal", asked)
        }
        let (oack, packets) = try request.grant(grant.options)
        let seal = TransferSeal(
            name: asked.name, mode: request.mode, grant: grant, oack: oack, packets: packets,
            keeping: asked.use)
        let sealer = ContentSealer(packets, mode: request.mode, grant)
        return .sealed(seal, self.seal(found, sealer, part: grant.part(of: byteCount ?? .max)))
    }

    private func refuse(
        _ code: ErrorCode, _ text: String, _ asked: Asked
    ) throws -> HandlerAnswer {
        let (message, packets) = try asked.request.refuse(code, text)
        let seal = TransferSeal(
            name: asked.name, mode: asked.request.mode, grant: Grant(), oack: [], packets: packets,
            keeping: asked.use)
        return .sealed(seal, .refused(code, message))
    }

    private func seal(
        _ found: Found, _ sealer: ContentSealer, part: Range<UInt64>
    ) -> HandlerAnswer {
        switch found {
        case .file(let file, let identity):
            return sealer.stream(byteCount: UInt64(part.count)) { supply in
                try await send(part, of: file, identity, to: supply)
            }
        case .answer(.bytes(let bytes, _)):
            return .bytes(
                sealer.add(Array(bytes[Int(part.lowerBound)..<Int(part.upperBound)]))
                    + sealer.finish(), key: nil)
        case .answer(.stream(let byteCount, _, let body)):
            return sealer.stream(byteCount: byteCount.map { _ in UInt64(part.count) }) { supply in
                try await write(part, of: body, byteCount: byteCount, to: supply)
            }
        case .shared(let content):
            let byteCount = content.byteCount
            return sealer.stream(byteCount: byteCount.map { _ in UInt64(part.count) }) { supply in
                guard try await !supply.copy(part, of: content) else { return }
                try await write(part, of: content.body, byteCount: byteCount, to: supply)
            }
        case .answer(let answer): return answer
        }
    }
}

/// Lets `body` write all it has, and hands on `part` of it. After that, writing throws as if the
/// client had left.
///
/// - Parameter byteCount: of all it has, if that is known.
private func write(
    _ part: Range<UInt64>, of body: @Sendable (SupplyWriter) async throws -> Void,
    byteCount: UInt64?, to supply: SupplyWriter
) async throws {
    let cutter = Cutter(part)
    let isCutShort = part.upperBound < byteCount ?? 0
    let output = supply.through { cutter.cut($0) }
    let writer = SupplyWriter { bytes in
        try await output.write(bytes)
        if isCutShort && cutter.isDone { throw CancellationError() }
    }
    do {
        try await body(writer)
    } catch {
        guard isCutShort && cutter.isDone else { throw error }
    }
}

/// Seals content on its way to the shards, translated where that was asked for.
///
/// A class with a lock, because a body may hand its writer to other tasks of its own; one at a time
/// writes.
private final class ContentSealer: Sendable {
    private struct State {
        var sealer: BlockSealer
        var encoder: NetasciiEncoder?
    }

    private let state: Mutex<State>
    private let mode: TransferMode
    private let blksize: Int

    init(_ packets: PacketSeal, mode: TransferMode, _ grant: Grant) {
        self.mode = mode
        blksize = Int(grant.blksize)
        state = Mutex(
            State(
                sealer: packets.blockSealer(blksize: blksize),
                encoder: mode == .netascii ? NetasciiEncoder() : nil))
    }

    /// What `body` writes, sealed. Every transfer has keys of its own, so none can share what was
    /// sealed for another.
    func stream(
        byteCount: UInt64?, _ body: @escaping @Sendable (SupplyWriter) async throws -> Void
    ) -> HandlerAnswer {
        let known = mode == .octet ? byteCount : nil
        let sealedByteCount = known.map { BlockSealer.sealedByteCount(of: $0, blksize: blksize) }
        return .stream(byteCount: sealedByteCount, key: nil) { supply in
            try await body(supply.through { self.add($0) })
            try await supply.write(self.finish())
        }
    }

    func add(_ bytes: [UInt8]) -> [UInt8] {
        state.withLock { state in
            let content = state.encoder?.encodeAll(bytes) ?? bytes
            return state.sealer.add(content)
        }
    }

    func finish() -> [UInt8] { state.withLock { $0.sealer.finish() } }
}

/// Takes a part out of content that comes as a whole.
private final class Cutter: Sendable {
    private let part: Range<UInt64>
    private let passed = Mutex<UInt64>(0)

    init(_ part: Range<UInt64>) { self.part = part }

    /// All of the part has come by.
    var isDone: Bool { passed.withLock { $0 } >= part.upperBound }

    func cut(_ bytes: [UInt8]) -> [UInt8] {
        let begin = passed.withLock { passed in
            defer { passed += UInt64(bytes.count) }
            return passed
        }
        let wanted = part.clamped(to: begin..<(begin + UInt64(bytes.count)))
        guard wanted.count < bytes.count else { return bytes }
        return Array(bytes[Int(wanted.lowerBound - begin)..<Int(wanted.upperBound - begin)])
    }
}

/// A file was written to while it was read.
private struct ChangedFile: Error, CustomStringConvertible {
    var description: String { "the file changed while it was read" }
}

extension SealError {
    /// The text of the ERROR to the client, which is unencrypted.
    fileprivate var reason: String {
        switch self {
        case .malformed: "Malformed seal"
        case .unknownKey: "Unknown seal key"
        case .notAuthentic: "Seal key does not fit"
        }
    }
}
