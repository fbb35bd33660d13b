internal import AsyncHTTPClient
internal import FoundationEssentials
internal import Glibc
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

    static let patience = Duration.seconds(1)
    /// An answer that has begun: all keys of a large fleet are some MiB.
    static let bodyPatience = Duration.seconds(5)
    private static let answerByteCountMax = 16 << 20
    private static let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(_ address: EtcdFleet.Address, _ access: EtcdFleet.Access) throws(EtcdFleet.InvalidAccess) {
        prefix = "/bootstorm/1/\(address.fleet)/"
        members = address.members
        user = access.user
        var configuration = HTTPClient.Configuration()
        configuration.tlsConfiguration = try access.tls()
        configuration.redirectConfiguration = .disallow
        configuration.timeout = .init(connect: TimeAmount.seconds(1), read: nil)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        client = HTTPClient(
            eventLoopGroupProvider: .shared(EtcdClient.threads), configuration: configuration)
    }

    deinit { client.shutdown { _ in } }

    /// Which member is asked first.
    var member: Int { state.withLock { $0.member } }

    /// Has the next question put to another member, if it would be put to this one.
    func passOn(from member: Int) {
        state.withLock { state in
            if state.member == member { state.member = (member + 1) % members.count }
        }
    }

    /// Asks one member after the other until one answers: for what does no harm twice.
    func call<Answer: Decodable & Sendable>(
        _ path: String, _ question: some Encodable & Sendable, as type: Answer.Type
    ) async throws(FleetFailure) -> Answer {
        var last = FleetFailure.unreachable("there are none")
        for _ in members {
            let member = member
            do throws(FleetFailure) {
                return try await call(path, question, at: member, as: type)
            } catch .unreachable(let text) {
                last = .unreachable(text)
            } catch .unclear(let text) {
                last = .unreachable(text)
            }
            passOn(from: member)
        }
        throw last
    }

    /// Asks one member, and no other if that one may have heard it.
    ///
    /// - Throws: `FleetFailure.unclear` if it may have done what it was asked for.
    func callOnce<Answer: Decodable & Sendable>(
        _ path: String, _ question: some Encodable & Sendable, as type: Answer.Type
    ) async throws(FleetFailure) -> Answer {
        var last = FleetFailure.unreachable("there are none")
        for _ in members {
            let member = member
            do throws(FleetFailure) {
                return try await call(path, question, at: member, as: type)
            } catch .unreachable(let text) {
                // It has not been sent.
                last = .unreachable(text)
                passOn(from: member)
            }
        }
        throw last
    }

    /// Asks one member; a second time only with another token, where the first was not accepted.
    ///
    /// - Throws: `FleetFailure.unreachable` if it was not asked, `unclear` if it has not answered.
    func call<Answer: Decodable & Sendable>(
        _ path: String, _ question: some Encodable & Sendable, at member: Int,
        as type: Answer.Type
    ) async throws(FleetFailure) -> Answer {
        for isLast in [false, true] {
            let (status, body) = try await send(path, question, at: member)
            let text = String(decoding: body.prefix(300), as: UTF8.self)
            if status == 401 || text.contains("invalid auth token") {
                state.withLock { $0.token = nil }
                guard isLast || user == nil else { continue }
                throw .denied("the token is not accepted")
            }
            guard status == 200 else { throw EtcdClient.failure(status, text) }
            do {
                return try JSONDecoder().decode(type, from: Data(body))
            } catch {
                throw .invalid(path)
            }
        }
        throw .denied("the token is not accepted")
    }

    private static func failure(_ status: Int, _ text: String) -> FleetFailure {
        if status == 403 || text.contains("permission denied") {
            return .denied("permission denied")
        }
        return status >= 500 || status == 429
            ? .unclear("status \(status) \(text)") : .denied("status \(status) \(text)")
    }

    private func send(
        _ path: String, _ question: some Encodable & Sendable, at member: Int
    ) async throws(FleetFailure) -> (status: Int, body: [UInt8]) {
        let request = try await request(path, question, at: member)
        do {
            let response = try await head(of: request)
            let body = try await within(EtcdClient.bodyPatience) {
                try await response.body.collect(upTo: EtcdClient.answerByteCountMax)
            }
            return (Int(response.status.code), Array(body.readableBytesView))
        } catch {
            throw failure(error, at: member)
        }
    }

    /// The beginning of an answer, within `patience`; what follows may take as long as it likes.
    private func head(of request: HTTPClientRequest) async throws -> HTTPClientResponse {
        try await within(EtcdClient.patience) { [client] in
            try await client.execute(request, deadline: .distantFuture)
        }
    }

    /// A connection that could not be made has carried nothing.
    private func failure(_ error: any Error, at member: Int) -> FleetFailure {
        let text = "\(members[member]): \(EtcdClient.text(error))"
        switch error {
        case is NIOConnectionError, is ChannelError: return .unreachable(text)
        case let error as HTTPClientError
        where error == .connectTimeout || error == .tlsHandshakeTimeout:
            return .unreachable(text)
        case FleetFailure.unclear(let reason): return .unclear("\(members[member]): \(reason)")
        case let failure as FleetFailure: return failure
        default: return .unclear(text)
        }
    }

    /// The lines of an answer that does not end, as of a watch or a lease.
    ///
    /// - Parameter body: takes each; returns false to end it.
    func stream(
        _ path: String, _ question: some Encodable & Sendable, at member: Int,
        _ body: ([UInt8]) async throws -> Bool
    ) async throws(FleetFailure) {
        let request = try await request(path, question, at: member)
        do {
            let response = try await head(of: request)
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
        } catch {
            throw failure(error, at: member)
        }
    }

    private func request(
        _ path: String, _ question: some Encodable & Sendable, at member: Int
    ) async throws(FleetFailure) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: members[member] + path)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        // A member that is cut off from the others would go on with what it knows, and say nothing.
        request.headers.add(name: "Grpc-Metadata-hasleader", value: "true")
        if let user, path != EtcdClient.authentication {
            request.headers.add(
                name: "Authorization", value: try await token(user, at: member))
        }
        do {
            request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(question)))
        } catch {
            throw .invalid(path)
        }
        return request
    }

    private struct Token: Decodable { let token: String }

    private static let authentication = "/v3/auth/authenticate"

    private func token(
        _ user: EtcdFleet.User, at member: Int
    ) async throws(FleetFailure) -> String {
        if let token = state.withLock({ $0.token }) { return token }
        let (status, body) = try await authenticate(user, at: member)
        let text = String(decoding: body.prefix(300), as: UTF8.self)
        guard status == 200 else {
            throw status >= 500
                ? .unreachable("status \(status) \(text)") : .denied("user and password: \(text)")
        }
        guard let answer = try? JSONDecoder().decode(Token.self, from: Data(body)) else {
            throw .invalid(EtcdClient.authentication)
        }
        state.withLock { $0.token = answer.token }
        return answer.token
    }

    private func authenticate(
        _ user: EtcdFleet.User, at member: Int
    ) async throws(FleetFailure) -> (status: Int, body: [UInt8]) {
        do throws(FleetFailure) {
            return try await send(
                EtcdClient.authentication, ["name": user.name, "password": user.password],
                at: member)
        } catch .unclear(let text) {
            // What was to be asked with the token has not been.
            throw .unreachable(text)
        }
    }

    /// Why a member has not answered, in a few words: what the libraries say may be a screen of
    /// text.
    private static func text(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError where error == .remoteConnectionClosed:
            return "the connection ended too early"
        case let error as HTTPClientError: return error.shortDescription
        case let error as NIOConnectionError:
            return error.connectionErrors.first.map { text($0.error) } ?? "unknown host"
        case is ChannelError: return "it does not answer in time"
        case is HTTPParserError: return "its answer is not HTTP/1; check the port and the scheme"
        case let error as IOError where error.errnoCode == ECONNREFUSED:
            return "connection refused"
        // The text is the C library's own, and copied at once.
        case let error as IOError: return unsafe String(cString: strerror(error.errnoCode))
        case NIOSSLError.uncleanShutdown:
            return "the connection ended in the handshake; check the port and the scheme"
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError: return tls("\(error)")
        default: return String("\(error)".prefix { $0 != "\n" }.prefix(120))
        }
    }

    private static func tls(_ text: String) -> String {
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return "its certificate has expired, or the given authority has not signed it"
        }
        if text.contains("failedToValidateHostname") {
            return "its certificate is for other host names"
        }
        if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") {
            return "it does not speak TLS; check the port and the scheme"
        }
        if text.contains("CERTIFICATE") || text.contains("ALERT") {
            return "it does not accept the client certificate, or wants one"
        }
        return "the connection is not secure: the handshake failed"
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

/// What `body` returns.
///
/// - Throws: what `body` throws, or `FleetFailure.unclear` where it takes longer than `duration`.
private func within<Value: Sendable>(
    _ duration: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: duration)
            return nil
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() ?? nil else {
            throw FleetFailure.unclear("it does not answer within \(duration / .seconds(1)) s")
        }
        return value
    }
}
