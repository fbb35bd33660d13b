internal import Crypto
internal import Dispatch
internal import Glibc
internal import TFTPCore
internal import TFTPReactor
internal import TFTPSeal
internal import TFTPServing
internal import TFTPWire

/// One transfer as its task sees it: waits without holding a thread, checks what arrives, and
/// cancels with its task.
final class Exchange: Sendable {
    let transfer: ClientTransfer
    let options: TFTPClient.Options
    let name: String
    private let monitor: TFTPClient.Monitor?

    init(
        _ transfer: ClientTransfer, _ options: TFTPClient.Options, name: String,
        _ monitor: TFTPClient.Monitor?
    ) {
        self.transfer = transfer
        self.options = options
        self.name = name
        self.monitor = monitor
    }

    deinit {
        // The caller has left before the end.
        if transfer.result == nil { transfer.cancel() }
        monitor?.end(nil)
    }

    /// The size that the server told, if it may be believed in reserving memory.
    var announcedByteCount: Int? { transfer.announcedByteCount.flatMap(Int.init(exactly:)) }

    /// Waits for something to read, room to write, or the end.
    func ready() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                transfer.whenReady { continuation.resume() }
            }
        } onCancel: {
            transfer.cancel()
        }
    }

    /// What it came to; throws why it failed.
    func summary(_ result: Result<ClientSummary, ClientFailure>) throws -> TFTPClient.Summary {
        switch result {
        case .success(let summary): return TFTPClient.Summary(summary)
        case .failure(.cancelled): throw CancellationError()
        case .failure(let failure): throw TFTPClient.Failure(failure, name: name)
        }
    }

    /// The transfer is over and all is well.
    func succeed(_ summary: TFTPClient.Summary) -> TFTPClient.Summary {
        monitor?.end(summary)
        return summary
    }

    // MARK: Receiving

    /// Hands everything that arrives to `sink`, in order, and returns when it is complete and
    /// verified.
    func receive(
        into sink: (UnsafeRawBufferPointer) throws -> Void
    ) async throws -> TFTPClient.Summary {
        var content = ReceivedContent(options)
        while true {
            do {
                if let summary = try unsafe takeAll(&content, sink) { return succeed(summary) }
                try await rest(content)
            } catch {
                transfer.cancel(error.isDiskFull ? .diskFull : .notDefined)
                throw error
            }
        }
    }

    /// Waits until there may be more to take.
    func rest(_ content: ReceivedContent) async throws {
        guard let pause = content.pause else { return await ready() }
        try await Task.sleep(for: pause)
    }

    /// Hands over what is here, as much as the rate allows. Returns the summary when that was the
    /// end.
    func takeAll(
        _ content: inout ReceivedContent, _ sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> TFTPClient.Summary? {
        try Task.checkCancellation()
        // In this order: what arrived before the end is seen with it.
        let result = transfer.result
        if case .failure = result { return try result.map(summary) }
        while true {
            let piece = unsafe transfer.readable
            guard piece.count > 0 else { break }
            let count = content.allowance(of: piece.count)
            guard count > 0 else { return nil }
            try unsafe content.take(UnsafeRawBufferPointer(rebasing: piece[..<count]), sink)
            transfer.didRead(count)
        }
        guard let result else { return nil }
        let summary = try summary(result)
        try unsafe content.finish(sink)
        return summary
    }

    // MARK: Sending

    /// Lets `produce` write the content, and returns when the server has all of it.
    func send(
        _ produce: (inout ContentWriter) async throws -> Void
    ) async throws -> TFTPClient.Summary {
        var writer = ContentWriter(self)
        do {
            try await produce(&writer)
            try await writer.finish()
        } catch {
            transfer.cancel()
            throw error
        }
        return try await end()
    }

    /// Sends what a sequence produces. The task that waits for it is cancelled when the transfer
    /// ends.
    func send<Content: AsyncSequence & SendableMetatype>(
        _ content: sending Content
    ) async throws -> TFTPClient.Summary
    where
        Content.Element: Collection<UInt8> & SendableMetatype,
        Content.AsyncIterator: SendableMetatype
    {
        let producing = Task {
            var writer = ContentWriter(self)
            for try await piece in content {
                guard try await writer.write(Array(piece)) else { return }
            }
            // Some sequences end when their task is cancelled, and this is not all of it then.
            try Task.checkCancellation()
            try await writer.finish()
        }
        let watching = Task {
            await watch()
            producing.cancel()
        }
        defer { watching.cancel() }
        do {
            try await withTaskCancellationHandler {
                try await producing.value
            } onCancel: {
                producing.cancel()
            }
        } catch  where transfer.result == nil {
            transfer.cancel()
            throw error
        } catch {
            // It was cancelled because the transfer has failed, which is what to tell.
        }
        return try await end()
    }

    /// Returns when the transfer has ended, or the task is cancelled.
    private func watch() async {
        while transfer.result == nil, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    private func end() async throws -> TFTPClient.Summary {
        while true {
            if let result = transfer.result { return succeed(try summary(result)) }
            await ready()
        }
    }
}

extension TFTPClient {
    /// Checks the request and begins the transfer. If it does not begin, the monitor is told.
    func begin(
        _ opcode: Opcode, _ name: String, _ server: Server, _ options: Options, byteCount: UInt64?,
        _ monitor: Monitor?, readsAfterAnswer: Bool = false
    ) async throws -> Exchange {
        do {
            var request = try await request(opcode, name, server, options, byteCount: byteCount)
            request.readsAfterAnswer = readsAfterAnswer
            let transfer = reactor.start(request, try transport(options))
            monitor?.begin(transfer, totalByteCount: byteCount)
            return Exchange(transfer, options, name: name, monitor)
        } catch {
            monitor?.end(nil)
            throw error
        }
    }

    private func request(
        _ opcode: Opcode, _ name: String, _ server: Server, _ options: Options, byteCount: UInt64?
    ) async throws -> ClientRequest {
        if let problem = options.problem { throw Failure.invalidOptions(problem) }
        if opcode == .wrq, options.isPartial {
            throw Failure.invalidOptions("offset and length are for getting")
        }
        let bytes = Array(name.utf8)
        guard (1...ClientRequest.nameByteCountMax).contains(bytes.count), !bytes.contains(0) else {
            throw Failure.invalidName(name)
        }
        let found = await server.resolve(patience: options.patience)
        try Task.checkCancellation()
        guard let endpoint = found else { throw Failure.unknownHost(server.host) }
        var request = ClientRequest(server: endpoint, opcode: opcode, name: bytes)
        request.mode = options.mode == .netascii ? .netascii : .octet
        request.options = options.asked(opcode, of: endpoint, byteCount: byteCount)
        if let keys = options.sealKeys {
            let sealed = SealedRequest(
                opcode, name: bytes, mode: request.mode, options: request.options,
                key: keys.first)
            guard let sealed else { throw Failure.invalidName(name) }
            request.seal = ClientSeal(sealed)
        }
        request.timeoutSeconds = options.timeout ?? 0
        request.patienceMilliseconds = UInt32(options.patience / .milliseconds(1))
        request.sourcePatienceMilliseconds = options.sourcePatience.map {
            UInt32($0 / .milliseconds(1))
        }
        request.byteCountMax = options.sizeMax
        return request
    }

    private func transport(_ options: Options) throws -> ClientTransport {
        var transport = ClientTransport()
        transport.usesSegmentation = options.segmentation
        if let interface = options.interface {
            transport.interfaceIndex = unsafe if_nametoindex(interface)
            guard transport.interfaceIndex > 0 else {
                throw Failure.invalidOptions("there is no network interface '\(interface)'")
            }
        }
        if let trace = options.trace { transport.trace = { trace(TracedPacket($0)) } }
        return transport
    }

    /// Runs `body`, and tells the monitor if it throws.
    func telling<Result>(_ monitor: Monitor?, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            monitor?.end(nil)
            throw error
        }
    }

    /// Runs `body` on a thread that may wait for files, which Swift's own threads may not.
    func onOwnThread<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withTaskExecutorPreference(OwnThread()) { try await body() }
    }
}

/// Runs the jobs of one task one after the other, on a thread of Dispatch's.
private final class OwnThread: TaskExecutor {
    private let queue = DispatchQueue(label: "tftp.file")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

extension Error {
    fileprivate var isDiskFull: Bool {
        if case .diskFull? = self as? TFTPClient.Failure { return true }
        return false
    }
}
