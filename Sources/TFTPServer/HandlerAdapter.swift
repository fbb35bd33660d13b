internal import Synchronization
internal import TFTPReactor
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// Puts what shards ask into the words of the public handlers, and what those answer into theirs.
final class HandlerAdapter: RequestHandler {
    private let get: TFTPServer.GetHandler?
    private let put: TFTPServer.PutHandler?
    private let notes: Notes
    private let seconds: Double
    private let order: TFTPServer.HandlerOrder
    private let sealedFolder: SealedFolder?
    private let template: (@Sendable (NameTemplate) async throws -> TFTPServer.Response)?

    init(
        get: TFTPServer.GetHandler?, put: TFTPServer.PutHandler?, notes: Notes,
        order: TFTPServer.HandlerOrder, timeout: Duration, sealedFolder: SealedFolder?,
        template: (@Sendable (NameTemplate) async throws -> TFTPServer.Response)? = nil
    ) {
        self.order = order
        self.sealedFolder = sealedFolder
        self.template = template
        self.get = get
        self.put = put
        self.notes = notes
        seconds = timeout / .seconds(1)
    }

    var answersReads: TFTPServing.HandlerOrder {
        guard get != nil else { return .never }
        return order == .afterFolder ? .afterFolder : .beforeFolder
    }
    var answersWrites: Bool { self.put != nil }

    var opensSeals: Bool { sealedFolder != nil }

    func answer(_ question: HandlerRequest) async -> HandlerAnswer {
        guard let sealedFolder, let sealed = question.sealed else { return await ask(question) }
        do {
            let answerer = SealedAnswerer(
                folder: sealedFolder, order: answersReads, isAskedOfWrites: answersWrites)
            return try await answerer.answer(question, sealed.packet, sealed.limits) { question in
                await self.ask(question)
            }
        } catch {
            note(error, TFTPServer.Request(question))
            return .refused(.notDefined, "Input or output error")
        }
    }

    /// Asks the handler about a request whose name and mode are known.
    private func ask(_ question: HandlerRequest) async -> HandlerAnswer {
        let request = TFTPServer.Request(question)
        do {
            if let chosen = question.template {
                return answer(try await template?(chosen) ?? .notFound, request)
            }
            switch question.opcode {
            case .wrq: return answer(try await put?(request) ?? .refuse(), request)
            default: return answer(try await get?(request) ?? .file, request)
            }
        } catch {
            note(error, request)
            return .refused(.notDefined, "Request handler failed")
        }
    }

    func note(_ trouble: HandlerFailure, _ question: HandlerRequest) {
        let request = TFTPServer.Request(question).text
        let line =
            switch trouble {
            case .tooSlow: "the handler of \(request) has not answered within \(seconds) s"
            case .stuck: "the handler of \(request) has written nothing for \(seconds) s"
            case .notReturned:
                "the handler of \(request) has not returned within \(seconds) s of its last byte"
            case .noRoom:
                "no room for \(request): what handlers supply may take half of the cache"
            case .notShared:
                "no room to share \(request) by its key: what handlers supply may take half of"
                    + " the cache"
            case .refused(let error):
                "the handler of \(request) has failed:"
                    + " \(TFTPServer.WriteError(error).map { "\($0)" } ?? "\(error)")"
            }
        notes.add(line)
    }

    private func answer(
        _ response: TFTPServer.Response, _ request: TFTPServer.Request
    ) -> HandlerAnswer {
        switch response.kind {
        case .file: return .file
        case .bytes(let bytes, let key): return .bytes(bytes, key: key)
        case .refused(let code, let text):
            return .refused(ErrorCode(rawValue: code.rawValue), text)
        case .stream(let size, let key, let body):
            return .stream(byteCount: size, key: key) { supply in
                try await self.noting(request) {
                    let count = WrittenCount()
                    try await body(TFTPServer.Writer(supply: supply, count: count))
                    guard let size, count.value != size else { return }
                    throw WrongSize(announced: size, written: count.value)
                }
            }
        }
    }

    private func answer(
        _ response: TFTPServer.UploadResponse, _ request: TFTPServer.Request
    ) -> HandlerAnswer {
        switch response.kind {
        case .store(let name, let policy):
            return .store(
                name: name.map { Array($0.utf8) },
                policy: policy.flatMap { UploadPolicy(rawValue: $0.rawValue) })
        case .refuse(let code, let text):
            return .refused(ErrorCode(rawValue: code.rawValue), text)
        case .take(let body):
            return .take { reader in
                try await self.noting(request) {
                    try await body(TFTPServer.UploadBytes(reader: reader))
                }
            }
        }
    }

    /// Runs a body; what it throws is noted on its way.
    private func noting(_ request: TFTPServer.Request, _ body: () async throws -> Void) async throws
    {
        do {
            try await body()
        } catch {
            note(error, request)
            throw error
        }
    }

    /// A cancelled handler has done nothing wrong, and of a refused write there is a line already.
    private func note(_ error: any Error, _ request: TFTPServer.Request) {
        guard !(error is CancellationError), !(error is TFTPServer.WriteError), !Task.isCancelled
        else { return }
        notes.add("the handler of \(request.text) has failed: \(error)")
    }
}

/// Content is not of the size that its handler had announced.
struct WrongSize: Error, CustomStringConvertible {
    let announced: UInt64
    let written: UInt64

    var description: String { "\(written) bytes written where \(announced) were announced" }
}

/// How much a stream's body has written.
final class WrittenCount: Sendable {
    private let count = Atomic<UInt64>(0)

    var value: UInt64 { count.load(ordering: .relaxed) }

    func add(_ byteCount: Int) { count.add(UInt64(byteCount), ordering: .relaxed) }
}

/// Sentences for the log, kept until the reporter reads them: their writers must not wait for a
/// terminal.
final class Notes: Sendable {
    private struct State {
        var lines: [String] = []
        var droppedCount = 0
    }

    private let state = Mutex(State())
    private static let linesMax = 1000

    func add(_ line: String) {
        state.withLock { state in
            guard state.lines.count < Notes.linesMax else {
                state.droppedCount += 1
                return
            }
            state.lines.append(line.inOneLine)
        }
    }

    func take() -> [String] {
        state.withLock { state in
            defer { state = State() }
            guard state.droppedCount > 0 else { return state.lines }
            return state.lines + ["\(state.droppedCount) more sentences on handlers are missing"]
        }
    }
}

extension TFTPServer.Request {
    /// For the log.
    fileprivate var text: String {
        "\(client) \(question.opcode == .wrq ? "WRQ" : "RRQ") \"\(name)\""
    }
}

extension String {
    /// Printable and without a line break, whatever a client, another server or an error put into
    /// it.
    package var inOneLine: String {
        String(
            String.UnicodeScalarView(
                unicodeScalars.prefix(1000).map {
                    $0.properties.generalCategory == .control ? "?" : $0
                }))
    }
}
