internal import Dispatch
internal import FoundationEssentials
internal import Glibc
internal import Logging
internal import Synchronization
internal import TFTPCore
internal import TFTPNames
internal import TFTPReactor
internal import TFTPServer
internal import TFTPServing

/// Answers `status`, `trace` and `reload` while a server runs. A thread of its own, and one a
/// connection: a slow reader delays no other.
final class ControlServer: Sendable {
    /// What the control socket gives access to.
    struct Access: Sendable {
        let server: TFTPServer
        /// What else `status` shows, such as peers.
        var sections: @Sendable () async -> [String: [String: String]] = { [:] }
        /// Reads the configuration again: returns the result in one line.
        var reload: @Sendable () async throws -> String = {
            throw ControlError.refused("this server has no configuration file to read again")
        }
    }

    private let socket: ControlSocket
    private let path: String
    private let access: Access
    private let stopping = Atomic<Bool>(false)
    private let connectionCount = Atomic<Int>(0)

    static let connectionsMax = 16
    static let requestByteCountMax = 4096
    private static let secondsMax = 10
    private static let pauseMicroseconds: UInt32 = 100_000

    /// Answers at a socket that listens at `path`.
    init(_ socket: ControlSocket, at path: String, _ access: Access) {
        self.socket = socket
        self.path = path
        self.access = access
    }

    /// Begins to answer; `end` ends it.
    func start() throws(ControlError) {
        do throws(StartError) {
            try RunningThread("control") { self.run() }.detach()
        } catch {
            throw .refused("\(error)")
        }
    }

    /// Takes the name away. Connections end with the next thing they do.
    func end() {
        guard !stopping.exchange(true, ordering: .acquiringAndReleasing) else { return }
        unsafe unlink(path)
    }

    private func run() {
        while !stopping.load(ordering: .acquiring) {
            guard socket.stirs(within: 200) else { continue }
            guard let connection = socket.accept() else {
                // Such as no descriptor free: the connection stays in the queue, and says so again
                // at once.
                usleep(ControlServer.pauseMicroseconds)
                continue
            }
            take(connection)
        }
        socket.end()
    }

    private func take(_ connection: ControlSocket) {
        connection.limit(seconds: ControlServer.secondsMax)
        guard connectionCount.load(ordering: .relaxed) < ControlServer.connectionsMax else {
            reply(ControlReply(error: "too many connections, try again"), connection)
            return connection.end()
        }
        connectionCount.add(1, ordering: .relaxed)
        let thread = try? RunningThread("control-answer") {
            self.answer(connection)
            connection.end()
            self.connectionCount.subtract(1, ordering: .relaxed)
        }
        if thread == nil {
            connection.end()
            connectionCount.subtract(1, ordering: .relaxed)
        }
        thread?.detach()
    }

    // MARK: Answers

    private func answer(_ connection: ControlSocket) {
        var connection = connection
        guard let line = connection.readLine(byteCountMax: ControlServer.requestByteCountMax),
            let request = try? JSONDecoder().decode(ControlRequest.self, from: Data(line))
        else {
            reply(ControlReply(error: "a request is one line of JSON"), connection)
            return
        }
        switch ControlRequest.Verb(rawValue: request.verb) {
        case .status: reply(status(request), connection)
        case .trace: trace(request, connection)
        case .reload: reply(reload(), connection)
        case nil:
            reply(ControlReply(error: "this server does not know '\(request.verb)'"), connection)
        }
    }

    private func status(_ request: ControlRequest) -> ControlReply {
        let rowsMax = min(65_536, max(0, request.rowsMax ?? 1024))
        guard var status = access.server.status(rowsMax: rowsMax) else {
            return ControlReply(error: "the server does not run")
        }
        let sections = access.sections
        status.sections = TaskAnswer().wait(for: sections) ?? [:]
        return ControlReply(status: status)
    }

    private func reload() -> ControlReply {
        let reload = access.reload
        let answer = TaskAnswer<ControlReply>().wait {
            do {
                return ControlReply(note: try await reload())
            } catch {
                return ControlReply(error: "\(error)")
            }
        }
        return answer ?? ControlReply(error: "the configuration was not read")
    }

    @discardableResult
    private func reply(_ reply: ControlReply, _ connection: ControlSocket) -> Bool {
        guard let line = try? JSONEncoder().encode(reply) else { return false }
        return connection.write(line: Array(line))
    }

    // MARK: Traces

    private func trace(_ request: ControlRequest, _ connection: ControlSocket) {
        guard let client = request.client.flatMap({ Network(text: $0) }) else {
            reply(ControlReply(error: "a client is ADDRESS, ADDRESS/BITS or all"), connection)
            return
        }
        guard let trace = access.server.trace(client) else {
            reply(ControlReply(error: "another trace is running; end that first"), connection)
            return
        }
        let records = RecordLines(client)
        let follower = access.server.follow { records.add($0) }
        defer {
            follower?.end()
            trace.end()
        }
        guard reply(ControlReply(note: "tracing"), connection) else { return }
        var missedCount: UInt64 = 0
        while !stopping.load(ordering: .acquiring) && !connection.stirs(within: 20) {
            var packets = trace.takeLines()
            packets.sort { ($0.packet?.seconds ?? 0) < ($1.packet?.seconds ?? 0) }
            // A record comes behind the packets that it is about.
            var lines = packets + records.take().map { ControlReply(record: $0) }
            if trace.missedCount > missedCount {
                lines.append(
                    ControlReply(note: "\(trace.missedCount - missedCount) packets missed"))
                missedCount = trace.missedCount
            }
            for line in lines where !reply(line, connection) { return }
        }
    }
}

/// Lines of transfers of the clients that are traced, from the reporter's thread to the
/// connection's.
private final class RecordLines: Sendable {
    private let client: Network
    private let lines = Mutex<[String]>([])
    private static let linesMax = 4096

    init(_ client: Network) { self.client = client }

    func add(_ record: TransferRecord) {
        guard client.contains(record.peer.address) else { return }
        lines.withLock { lines in
            if lines.count < RecordLines.linesMax { lines.append(record.line) }
        }
    }

    func take() -> [String] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }
}

extension ReactorTrace {
    /// What has come in since the last call, as lines of the answer.
    fileprivate func takeLines() -> [ControlReply] {
        var lines: [ControlReply] = []
        takeEvents { lines.append(ControlReply(packet: TracedDatagram($0, self))) }
        return lines
    }
}

extension TracedDatagram {
    fileprivate init(_ event: TraceEvent, _ trace: ReactorTrace) {
        let local = trace.endpoint(of: event)
        let digits = Array("0123456789abcdef".utf8)
        var head: [UInt8] = []
        for index in 0..<Int(event.headByteCount) {
            head.append(digits[Int(event.head[index] >> 4)])
            head.append(digits[Int(event.head[index] & 15)])
        }
        self.init(
            seconds: trace.unixSeconds(of: event), isOut: event.isOut, client: "\(event.peer)",
            server: "\(local)", byteCount: Int(event.byteCount),
            datagramCount: Int(event.datagramCount),
            segmentByteCount: Int(event.segmentByteCount),
            head: String(decoding: head, as: UTF8.self))
    }
}

/// What a task has made, for a thread that waits for it.
private final class TaskAnswer<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let done = DispatchSemaphore(value: 0)

    /// Waits on this thread, which is none of Swift's pool, for what a task of the pool does.
    func wait(for body: @escaping @Sendable () async -> Value) -> Value? {
        Task {
            let made = await body()
            value.withLock { $0 = made }
            done.signal()
        }
        done.wait()
        return value.withLock { $0 }
    }
}
