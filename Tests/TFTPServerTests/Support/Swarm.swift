import Glibc

/// Many clients, each with a socket of its own, driven by one thread.
final class Swarm: @unchecked Sendable {
    private let server: Endpoint
    private var clients: [Member]
    /// After this time without a packet a client sends its last one again.
    private let patience = Duration.seconds(1)

    private struct Member {
        let socket: UDPSocket
        var role: Role
        var tid: Endpoint?
        var heardAt = ContinuousClock.now
    }

    enum Role: Sendable {
        case download(Download)
        case upload(Upload)

        var state: Download.State {
            switch self {
            case .download(let download): download.state
            case .upload(let upload): upload.state
            }
        }

        fileprivate var request: [UInt8] {
            switch self {
            case .download(let download): download.request
            case .upload(let upload): upload.request
            }
        }

        fileprivate var repeated: [[UInt8]] {
            switch self {
            case .download(let download): [download.repeated]
            case .upload(let upload): upload.repeated
            }
        }

        fileprivate mutating func step(_ bytes: [UInt8]) -> [[UInt8]] {
            switch self {
            case .download(var download):
                let answer = download.step(bytes)
                self = .download(download)
                return answer.map { [$0] } ?? []
            case .upload(var upload):
                let answers = upload.step(bytes)
                self = .upload(upload)
                return answers
            }
        }
    }

    init(_ server: Endpoint, _ roles: [Role]) throws {
        self.server = server
        clients = try roles.map { Member(socket: try UDPSocket(), role: $0) }
    }

    convenience init(_ server: Endpoint, downloads: [Download]) throws {
        try self.init(server, downloads.map(Role.download))
    }

    var roles: [Role] { clients.map(\.role) }

    var downloads: [Download] {
        clients.compactMap { client in
            guard case .download(let download) = client.role else { return nil }
            return download
        }
    }

    /// Sends all requests at once and continues until the last client has ended.
    func run(limit: Duration) {
        let end = ContinuousClock.now + limit
        for index in clients.indices {
            clients[index].heardAt = .now
            clients[index].socket.send(clients[index].role.request, to: server)
        }
        var running = Array(clients.indices)
        while !running.isEmpty && ContinuousClock.now < end {
            var pollers = running.map { pollfd(file: clients[$0].socket.file) }
            poll(&pollers, nfds_t(pollers.count), 100)
            let now = ContinuousClock.now
            for (index, poller) in zip(running, pollers) {
                if poller.revents != 0 { takeAll(index, now) } else { repeatIfSilent(index, now) }
            }
            running.removeAll { clients[$0].role.state != .running }
        }
    }

    private func takeAll(_ index: Int, _ now: ContinuousClock.Instant) {
        clients[index].heardAt = now
        while let datagram = clients[index].socket.receiveNow() {
            let tid = clients[index].tid ?? datagram.source
            clients[index].tid = tid
            guard datagram.source == tid else { continue }
            for answer in clients[index].role.step(datagram.bytes) {
                clients[index].socket.send(answer, to: tid)
            }
        }
    }

    private func repeatIfSilent(_ index: Int, _ now: ContinuousClock.Instant) {
        guard clients[index].heardAt.duration(to: now) > patience else { return }
        clients[index].heardAt = now
        for bytes in clients[index].role.repeated {
            clients[index].socket.send(bytes, to: clients[index].tid ?? server)
        }
    }
}
