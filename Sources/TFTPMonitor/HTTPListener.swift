internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Answers GET and HEAD for a few fixed paths over HTTP/1.1: metrics and health. One event loop, a
/// bounded number of connections.
package final class HTTPListener: Sendable {
    /// What a path answers.
    package struct Answer: Sendable {
        package var status: Int
        package var contentType: String
        package var body: String

        package init(
            status: Int = 200, contentType: String = "text/plain; charset=utf-8", body: String
        ) {
            self.status = status
            self.contentType = contentType
            self.body = body
        }
    }

    /// Answers a path, without its query; nil is 404. Called on the event loop's thread pool, and
    /// may take a moment.
    package typealias Handler = @Sendable (String) async -> Answer?

    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    /// Where it listens, with the true port.
    package let address: String

    /// What clients may take up.
    package struct Limits: Sendable {
        /// How long a client may take to send a request, and to take the answer.
        package var request = Duration.seconds(10)
        /// How long a connection may wait for its next request.
        package var idle = Duration.seconds(30)
        /// With one more, the oldest is closed, so that held connections keep no reader out.
        package var connectionCount = 64

        package init() {}
    }

    /// Why an address cannot be listened on.
    package struct ListenFailure: Error, CustomStringConvertible {
        /// A few words.
        package let description: String

        fileprivate init(_ error: any Error) {
            guard let code = (error as? IOError)?.errnoCode else {
                description = "\(error)"
                return
            }
            // The text is the C library's own, and copied at once.
            description = unsafe String(cString: strerror(code))
        }
    }

    private init(_ group: MultiThreadedEventLoopGroup, _ channel: any Channel) {
        self.group = group
        self.channel = channel
        let host = channel.localAddress?.ipAddress ?? ""
        let port = channel.localAddress?.port ?? 0
        address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Listens at an address and a port; 0 is any free one.
    ///
    /// - Throws: `ListenFailure` with what the system says when it cannot.
    package static func start(
        host: String, port: Int, limits: Limits = Limits(), _ handler: @escaping Handler
    ) async throws -> HTTPListener {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let connections = OpenConnections(limits)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    try operations.configureHTTPServerPipeline(withErrorHandling: true)
                    try operations.addHandler(RequestAnswerer(handler, connections))
                }
            }
        do {
            let channel = try await bootstrap.bind(host: host, port: port).get()
            return HTTPListener(group, channel)
        } catch {
            try? await group.shutdownGracefully()
            throw ListenFailure(error)
        }
    }

    /// Ends it, and every connection.
    package func stop() {
        channel.close(promise: nil)
        group.shutdownGracefully { _ in }
    }
}

/// Connections of one listener, the oldest first: used on its one event loop alone.
private final class OpenConnections: @unchecked Sendable {
    private var channels: [any Channel] = []
    let limits: HTTPListener.Limits

    init(_ limits: HTTPListener.Limits) { self.limits = limits }

    /// Closes the oldest where there are too many.
    func add(_ channel: any Channel) {
        channels.append(channel)
        if channels.count > limits.connectionCount {
            channels.removeFirst().close(promise: nil)
        }
    }

    func remove(_ channel: any Channel) { channels.removeAll { $0 === channel } }
}

/// One connection.
private final class RequestAnswerer: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let handler: HTTPListener.Handler
    private let connections: OpenConnections
    private var head: HTTPRequestHead?
    /// Closes the connection.
    private var deadline: Scheduled<Void>?

    init(_ handler: @escaping HTTPListener.Handler, _ connections: OpenConnections) {
        self.handler = handler
        self.connections = connections
    }

    func channelActive(context: ChannelHandlerContext) {
        connections.add(context.channel)
        allow(connections.limits.request, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        connections.remove(context.channel)
    }

    /// Gives the connection so much time for what it does next.
    private func allow(_ time: Duration, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: TimeAmount(time)) {
            channel.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            allow(connections.limits.request, context)
        case .body: break
        case .end:
            guard let head else { return }
            self.head = nil
            deadline?.cancel()
            answer(head, context)
        }
    }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard head.method == .GET || head.method == .HEAD else {
            return write(
                HTTPListener.Answer(status: 405, body: "only GET and HEAD\n"), head, context)
        }
        let path = String(head.uri.prefix { $0 != "?" })
        let handler = handler
        let promise = context.eventLoop.makePromise(of: HTTPListener.Answer?.self)
        promise.completeWithTask { await handler(path) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        promise.futureResult.whenSuccess { answer in
            let (answerer, context) = bound.value
            answerer.write(
                answer ?? HTTPListener.Answer(status: 404, body: "not found\n"), head, context)
        }
    }

    private func write(
        _ answer: HTTPListener.Answer, _ head: HTTPRequestHead, _ context: ChannelHandlerContext
    ) {
        let body = context.channel.allocator.buffer(string: answer.body)
        var response = HTTPResponseHead(
            version: head.version, status: HTTPResponseStatus(statusCode: answer.status))
        response.headers.add(name: "Content-Type", value: answer.contentType)
        response.headers.add(name: "Content-Length", value: "\(body.readableBytes)")
        response.headers.add(name: "Cache-Control", value: "no-store")
        if !head.isKeepAlive { response.headers.add(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        if head.method == .GET {
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        allow(connections.limits.request, context)
        let done = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let isKeptAlive = head.isKeepAlive
        done.whenComplete { _ in
            let (answerer, context) = bound.value
            guard isKeptAlive else { return context.close(promise: nil) }
            if context.channel.isActive {
                answerer.allow(answerer.connections.limits.idle, context)
            }
        }
    }
}
