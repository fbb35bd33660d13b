import Foundation
import Glibc
import Synchronization
package import TFTPClient
internal import TFTPCore
internal import TFTPReactor

/// An attacker between clients and a server that sees every packet, and does with each what a test
/// says: forwards it, changes it, keeps it, sends more.
package final class MiddleMan: @unchecked Sendable {
    package enum Way: Sendable {
        /// To the server, as the client has it: a request to where the server takes requests, all
        /// else to its TID.
        case up
        /// To where the server takes requests, from where it knows the client.
        case ask
        /// To the client.
        case down
    }

    /// What is sent instead of a packet, and in which direction.
    package typealias Rule = @Sendable (Way, [UInt8]) -> [(Way, [UInt8])]

    private struct Session {
        let client: Endpoint
        /// The socket towards the server.
        let back: LoopbackSocket
        /// The socket towards the client.
        let front: LoopbackSocket
        /// The server's listener, then its TID.
        var server: Endpoint
    }

    private let listener: LoopbackSocket
    private let server: Endpoint
    private let rule: Rule
    private var sessions: [Session] = []
    private let isOver = Mutex(false)
    private let seen = Mutex<[(way: Way, bytes: [UInt8])]>([])

    /// Everything that came by, before it was changed.
    package var capture: [(way: Way, bytes: [UInt8])] { seen.withLock { $0 } }

    private init(_ server: TFTPClient.Server, rule: @escaping Rule) throws {
        listener = try LoopbackSocket()
        self.rule = rule
        guard let address = Address(numeric: server.host) else {
            throw LoopbackSocket.Failure(description: "\(server.host) is no address")
        }
        self.server = Endpoint(address: address, port: server.port)
    }

    /// Stands there while `body` runs, which is told where to ask.
    package static func stand(
        before server: TFTPClient.Server, rule: @escaping Rule = { [($0, $1)] },
        body: (TFTPClient.Server, MiddleMan) async throws -> Void
    ) async throws {
        let man = try MiddleMan(server, rule: rule)
        let (ending, over) = AsyncStream<Never>.makeStream()
        Thread.detachNewThread {
            while !man.isOver.withLock({ $0 }) { man.turn() }
            over.finish()
        }
        let address = TFTPClient.Server(host: "127.0.0.1", port: man.listener.endpoint.port)
        let result: Result<Void, any Error>
        do { result = .success(try await body(address, man)) } catch { result = .failure(error) }
        man.isOver.withLock { $0 = true }
        for await _ in ending {}
        try result.get()
    }

    private func turn() {
        let sockets = [listener] + sessions.flatMap { [$0.back, $0.front] }
        var pollers = sockets.map { pollfd(fd: $0.file, events: Int16(POLLIN), revents: 0) }
        guard poll(&pollers, nfds_t(pollers.count), 20) > 0 else { return }
        for (index, poller) in pollers.enumerated() where poller.revents != 0 {
            guard let (bytes, source) = sockets[index].receive(withinMilliseconds: 0) else {
                continue
            }
            if index == 0 {
                // A request that is repeated is one to the listener again, though an answer has
                // come, and was lost.
                guard let number = try? session(of: source) else { continue }
                pass(.up, bytes, number, up: server)
            } else {
                let number = (index - 1) / 2
                let isBack = (index - 1).isMultiple(of: 2)
                // The first sender decides the TID, even if the test injects other packets.
                let isFirst = sessions[number].server == server
                if isBack && isFirst { sessions[number].server = source }
                pass(isBack ? .down : .up, bytes, number, up: sessions[number].server)
            }
        }
    }

    private func session(of client: Endpoint) throws -> Int {
        let known = sessions.firstIndex { $0.client == client }
        if let known { return known }
        sessions.append(
            Session(
                client: client, back: try LoopbackSocket(), front: try LoopbackSocket(),
                server: server))
        return sessions.count - 1
    }

    private func pass(_ way: Way, _ bytes: [UInt8], _ number: Int, up: Endpoint) {
        seen.withLock { $0.append((way, bytes)) }
        let session = sessions[number]
        for (way, bytes) in rule(way, bytes) {
            switch way {
            case .up: session.back.send(bytes, to: up)
            case .ask: session.back.send(bytes, to: server)
            case .down: session.front.send(bytes, to: session.client)
            }
        }
    }
}
