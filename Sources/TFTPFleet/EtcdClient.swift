internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// Members of an etcd cluster, asked by the JSON gateway of its v3 API; the next one where one does
/// not answer within a second.
final class EtcdClient: Sendable {
    let prefix: String
    private let members: [String]
    private let user: EtcdFleet.User?
    private let client: HTTPClient
    private let state = Mutex(State())

    private struct State {
        /// Which member is asked first.
        var member = 0
        var token: String?
    }

    static let patience = TimeAmount.seconds(1)
    private static let answerByteCountMax = 16 << 20
    private static let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(_ address: EtcdFleet.Address, _ access: EtcdFleet.Access) throws(EtcdFleet.InvalidAccess) {
        prefix = "/bootstorm/1/\(address.fleet)/"
        members = address.members
        user = access.user
        var configuration = HTTPClient.Configuration()
        configuration.tlsConfiguration = try access.tls()
        configuration.redirectConfiguration = .disallow
        configuration.timeout = .init(connect: EtcdClient.patience, read: nil)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        client = HTTPClient(
            eventLoopGroupProvider: .shared(EtcdClient.threads), configuration: configuration)
    }

    deinit { client.shutdown { _ in } }

    /// What the next question is put to another member for.
    func passOn() { state.withLock { $0.member = ($0.member + 1) % members.count } }

    /// Asks one member after the other until one answers.
    func call<Answer: Decodable & Sendable>(
        _ path: String, _ question: some Encodable & Sendable, as type: Answer.Type
    ) async throws(FleetFailure) -> Answer {
        var last = FleetFailure.unreachable("there are none")
        for _ in members {
            do throws(FleetFailure) {
                return try await ask(path, question, as: type)
            } catch .unreachable(let text) {
                last = .unreachable(text)
                passOn()
            }
        }
        throw last
    }

    private func ask<Answer: Decodable & Sendable>(
        _ path: String, _ question: some Encodable & Sendable, as type: Answer.Type
    ) async throws(FleetFailure) -> Answer {
        let (status, body) = try await send(path, question)
        guard status == 200 else {
            let text = String(decoding: body.prefix(300), as: UTF8.self)
            if status == 401 || text.contains("invalid auth token") {
                state.withLock { $0.token = nil }
                throw .unreachable("the token has run out")
            }
            if status == 403 || text.contains("permission denied") {
                throw .denied("permission denied")
            }
            throw status >= 500 || status == 429
                ? .unreachable("status \(status) \(text)") : .denied("status \(status) \(text)")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw .invalid("\(path)")
        }
    }

    private func send(
        _ path: String, _ question: some Encodable & Sendable
    ) async throws(FleetFailure) -> (status: Int, body: [UInt8]) {
        let request = try await request(path, question)
        do {
            let response = try await client.execute(request, timeout: EtcdClient.patience)
            let body = try await response.body.collect(upTo: EtcdClient.answerByteCountMax)
            return (Int(response.status.code), Array(body.readableBytesView))
        } catch {
            throw .unreachable("\(members[member]): \(EtcdClient.text(error))")
        }
    }

    /// The lines of an answer that does not end, as of a watch or a lease.
    ///
    /// - Parameter body: takes each; returns false to end it.
    func stream(
        _ path: String, _ question: some Encodable & Sendable, within patience: TimeAmount? = nil,
        _ body: ([UInt8]) async throws -> Bool
    ) async throws(FleetFailure) {
        let request = try await request(path, question)
        do {
            let end = patience.map { NIODeadline.now() + $0 } ?? .distantFuture
            let response = try await client.execute(request, deadline: end)
            guard response.status == .ok else {
                throw FleetFailure.unreachable("status \(response.status.code)")
            }
            var line: [UInt8] = []
            for try await part in response.body {
                for byte in part.readableBytesView {
                    guard byte == UInt8(ascii: "\n") else {
                        line.append(byte)
                        guard line.count <= EtcdClient.answerByteCountMax else {
                            throw FleetFailure.invalid(path)
                        }
                        continue
                    }
                    guard try await body(line) else { return }
                    line = []
                }
            }
        } catch let failure as FleetFailure {
            throw failure
        } catch {
            throw .unreachable("\(members[member]): \(EtcdClient.text(error))")
        }
    }

    private var member: Int { state.withLock { $0.member } }

    private func request(
        _ path: String, _ question: some Encodable & Sendable
    ) async throws(FleetFailure) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: members[member] + path)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        // A member that is cut off from the others would go on with what it knows, and say nothing.
        request.headers.add(name: "Grpc-Metadata-hasleader", value: "true")
        if let user, path != "/v3/auth/authenticate" {
            request.headers.add(name: "Authorization", value: try await token(user))
        }
        do {
            request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(question)))
        } catch {
            throw .invalid(path)
        }
        return request
    }

    private struct Token: Decodable { let token: String }

    private func token(_ user: EtcdFleet.User) async throws(FleetFailure) -> String {
        if let token = state.withLock({ $0.token }) { return token }
        let answer = try await ask(
            "/v3/auth/authenticate", ["name": user.name, "password": user.password], as: Token.self)
        state.withLock { $0.token = answer.token }
        return answer.token
    }

    private static func text(_ error: any Error) -> String {
        let text = (error as? HTTPClientError)?.shortDescription ?? "\(error)"
        return String(text.prefix { $0 != "\n" }.prefix(120))
    }
}

extension EtcdFleet.Access {
    fileprivate func tls() throws(EtcdFleet.InvalidAccess) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        do {
            if let authority {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authority))
            }
            if let certificate, let key {
                tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(certificate).map {
                    .certificate($0)
                }
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: key, format: .pem))
            }
        } catch {
            throw EtcdFleet.InvalidAccess()
        }
        return tls
    }
}
