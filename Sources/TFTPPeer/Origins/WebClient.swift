internal import AsyncHTTPClient
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import SystemPackage

/// The connections of a node to web servers: HTTP/1.1, one request at a time on each, as many as
/// there are requests.
final class WebClient: Sendable {
    let client: HTTPClient
    let access: PeerNode.OriginAccess

    /// An idle connection is closed after this duration, so that the connections of a server that
    /// went away are not reused.
    private static let idleDuration = TimeAmount.seconds(5)
    private static let connectDuration = TimeAmount.seconds(2)
    /// Requests at once to one host: beyond that they wait for each other.
    private static let connectionsMax = 1024
    /// A node's work is elsewhere, so two threads serve all clients of this process.
    private static let threads = MultiThreadedEventLoopGroup(numberOfThreads: 2)

    /// - Throws: `PeerNode.InvalidAccess` if a certificate or key is unusable.
    init(_ access: PeerNode.OriginAccess) throws(PeerNode.InvalidAccess) {
        self.access = access
        var configuration = HTTPClient.Configuration()
        configuration.tlsConfiguration = try WebClient.tls(access)
        configuration.redirectConfiguration = .disallow
        configuration.timeout = .init(connect: WebClient.connectDuration, read: nil)
        configuration.connectionPool.idleTimeout = WebClient.idleDuration
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit =
            WebClient.connectionsMax
        // If nothing listens, the next source is queried at once.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.decompression = .disabled
        configuration.httpVersion = .http1Only
        client = HTTPClient(
            eventLoopGroupProvider: .shared(WebClient.threads), configuration: configuration)
    }

    deinit { client.shutdown { _ in } }

    /// Asks for `url`.
    ///
    /// - Throws: `SourceFailure` if the URL or a field is invalid.
    func get(_ url: WebURL, _ fields: HTTPHeaders) throws(SourceFailure) -> WebAnswer {
        do {
            return WebAnswer(
                try HTTPClient.Request(url: url.text, method: .GET, headers: fields), by: client)
        } catch {
            throw SourceFailure(error)
        }
    }

    private static func tls(
        _ access: PeerNode.OriginAccess
    ) throws(PeerNode.InvalidAccess) -> TLSConfiguration {
        var access = access
        if access.contents == nil { try access.readFiles() }
        var tls = TLSConfiguration.makeClientConfiguration()
        if let path = access.authorityFile, let bytes = access.contents?.authority {
            do {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(bytes))
            } catch {
                throw .authority(path: path)
            }
        }
        guard let path = access.certificateFile, let bytes = access.contents?.certificate,
            let key = access.contents?.key
        else { return tls }
        do {
            tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(bytes).map {
                .certificate($0)
            }
        } catch {
            throw .certificate(path: path)
        }
        do {
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: key, format: .pem))
        } catch {
            throw .key(path: access.keyFile ?? path)
        }
        return tls
    }
}

extension SourceFailure {
    /// Why a request has failed, in a few words: what the client says of it may be a screen of
    /// text.
    init(_ error: any Error) {
        switch error {
        case let failure as SourceFailure: self = failure
        case let failure as HTTPClientError where failure == .remoteConnectionClosed:
            self = .closed
        case let failure as HTTPClientError
        where failure == .connectTimeout || failure == .getConnectionFromPoolTimeout
            || failure == .tlsHandshakeTimeout:
            self = .noAnswer
        case let failure as HTTPClientError: self = .web(failure.shortDescription)
        case let failure as NIOConnectionError:
            guard let first = failure.connectionErrors.first else {
                self = .unknownHost
                return
            }
            self = SourceFailure(first.error)
        case is ChannelError: self = .noAnswer
        case HTTPParserError.invalidEOFState: self = .closed
        case is HTTPParserError: self = .notHTTP
        case is NIOTooManyBytesError: self = .web("its header is too long")
        case let failure as IOError:
            switch Errno(rawValue: failure.errnoCode) {
            case .connectionRefused: self = .nothingListens
            case .connectionReset, .brokenPipe: self = .closed
            default: self = .web("\(Errno(rawValue: failure.errnoCode))")
            }
        case NIOSSLError.uncleanShutdown: self = .closed
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError:
            self = .tls(TLSFailure("\(error)"))
        default: self = .web("\(error)".prefix(while: { $0 != "\n" }).prefix(120).description)
        }
    }
}
