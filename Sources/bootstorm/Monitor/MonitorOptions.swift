internal import ArgumentParser
internal import Glibc
internal import Logging
internal import TFTPCore
internal import TFTPMonitor
internal import TFTPPeer
internal import TFTPReactor
internal import TFTPServer

/// Flags of `serve` for monitoring.
struct MonitorOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Control socket for status, trace and reload; 'none' for no socket. (default: \
            /run/bootstorm/control.sock where that can be written, else in $XDG_RUNTIME_DIR)
            """, valueName: "path"))
    var control: String?

    @Option(
        help: ArgumentHelp(
            "Address for /metrics (Prometheus), /healthz and /readyz. (default: none)",
            valueName: "addr:port"))
    var http: HTTPAddress?

    func validate() throws {
        guard let control, control != "none" else { return }
        if control.isEmpty || control.utf8.count > ControlPath.byteCountMax {
            throw ValidationError(
                "--control is a path of at most \(ControlPath.byteCountMax) bytes, or 'none'.")
        }
    }

    /// Answers requests about `server` until `end` of the result.
    ///
    /// The server before this one may be about to let go of the same addresses: they are tried for
    /// two seconds.
    ///
    /// - Parameter leaves: let go of them as soon as the server drains, for the next one.
    /// - Throws: `ExitCode.failure`, having said why, when nothing can listen where it was told to.
    func start(
        _ server: TFTPServer, _ node: PeerNode?, _ logger: Logger, control opened: OpenedControl?,
        leaves: Bool, reload: @escaping @Sendable () async throws -> String
    ) async throws -> Monitoring {
        let access = ControlServer.Access(
            server: server, sections: { await node?.statusSections ?? [:] }, reload: reload)
        let control = try startControl(opened, access, logger)
        let listener = try await startHTTP(server, node, logger)
        let flushing = Task { await Monitoring.flushLog() }
        let monitoring = Monitoring(control: control, listener: listener, flushing: flushing)
        if leaves { Task { await monitoring.leave(when: server) } }
        return monitoring
    }

    /// Binds the control socket, with the privileges that the process was started with; nil: there
    /// is none.
    ///
    /// - Parameter waits: another server of the same place may be about to end: it is waited for,
    ///   two seconds at most.
    /// - Throws: `ExitCode.failure`, having said why, when nothing can listen at the path that was
    ///   given.
    func openControl(waits: Bool) throws -> OpenedControl? {
        guard control != "none", let path = control ?? ControlPath.usual(isServer: true) else {
            return nil
        }
        do throws(ControlError) {
            let socket = try listen(at: path, attempts: waits ? MonitorOptions.attemptsMax : 0)
            return OpenedControl(path: path, socket: socket, problem: nil)
        } catch {
            guard control == nil else { return try reportingControlErrors { throw error } }
            return OpenedControl(path: path, socket: nil, problem: "\(error)")
        }
    }

    private func listen(at path: String, attempts: Int) throws(ControlError) -> ControlSocket {
        for _ in 0..<attempts {
            do throws(ControlError) {
                return try ControlSocket.listen(at: path)
            } catch {
                guard case .inUse = error else { throw error }
            }
            usleep(MonitorOptions.pauseMicroseconds)
        }
        return try ControlSocket.listen(at: path)
    }

    /// Answers at a socket that was bound before. Without one, the log says why.
    private func startControl(
        _ opened: OpenedControl?, _ access: ControlServer.Access, _ logger: Logger
    ) throws -> ControlServer? {
        guard let opened else { return nil }
        guard let socket = opened.socket else {
            let problem = opened.problem ?? "unknown"
            logger.info("no control socket, so no 'status' and 'trace' of this server: \(problem)")
            return nil
        }
        let server = ControlServer(socket, at: opened.path, access)
        try reportingControlErrors { try server.start() }
        logger.debug("control socket \(opened.path)")
        return server
    }

    private static let pauseMicroseconds: UInt32 = 100_000
    private static let attemptsMax = 20
    private static let pause = Duration.milliseconds(100)

    /// An address in use may be given back in a moment.
    private func listen(
        _ http: HTTPAddress, _ handler: @escaping HTTPListener.Handler
    ) async throws -> HTTPListener {
        for _ in 0..<MonitorOptions.attemptsMax {
            let listener = try? await HTTPListener.start(
                host: http.host, port: http.port, handler)
            if let listener { return listener }
            try? await Task.sleep(for: MonitorOptions.pause)
        }
        return try await HTTPListener.start(host: http.host, port: http.port, handler)
    }

    private func startHTTP(
        _ server: TFTPServer, _ node: PeerNode?, _ logger: Logger
    ) async throws -> HTTPListener? {
        guard let http else { return nil }
        do {
            let pages = MonitorPages(server) { await node?.metrics ?? [] }
            let listener = try await listen(http) { await pages.answer($0) }
            logger.info("metrics on http://\(listener.address)/metrics")
            return listener
        } catch {
            StandardError.write("bootstorm: cannot listen on \(http) for HTTP: \(error)\n")
            throw ExitCode.failure
        }
    }
}

/// A control socket that was bound while the process had the privileges for it.
struct OpenedControl: Sendable {
    let path: String
    /// nil: there is none, because of `problem`.
    let socket: ControlSocket?
    let problem: String?

    var folder: String {
        let end = path.lastIndex(of: "/") ?? path.startIndex
        return end == path.startIndex ? (path.hasPrefix("/") ? "/" : ".") : String(path[..<end])
    }

    /// Makes the socket the user's that the process is about to become, and the system's folder of
    /// it, so that the socket can be removed at the end.
    func give(to user: (uid: UInt32, gid: UInt32)?) {
        guard let user, socket != nil else { return }
        // Not what a symbolic link leads to: the folder may be the user's from an earlier start.
        unsafe lchown(path, user.uid, user.gid)
        if path == ControlPath.system { unsafe lchown(folder, user.uid, user.gid) }
    }
}

/// The control socket and the HTTP listener of a running server.
struct Monitoring: Sendable {
    let control: ControlServer?
    let listener: HTTPListener?
    let flushing: Task<Void, Never>

    func end() {
        control?.end()
        listener?.stop()
        flushing.cancel()
        LogOutput.shared.flush(isLast: true)
    }

    /// Closes the listeners as soon as the server takes no new transfer, so that the next one can
    /// listen.
    func leave(when server: TFTPServer) async {
        var hasServed = false
        while !flushing.isCancelled {
            let isReady = server.isReady
            if hasServed && !isReady {
                control?.end()
                listener?.stop()
                return
            }
            hasServed = hasServed || isReady
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Tells of repeated log lines in time, also when nothing else happens.
    static func flushLog() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            LogOutput.shared.flush()
        }
    }
}

/// `ADDR:PORT` of a TCP listener.
struct HTTPAddress: ExpressibleByArgument, CustomStringConvertible {
    let host: String
    let port: Int

    init?(argument: String) {
        guard argument.contains(":"), let endpoint = Endpoint(text: argument, defaultPort: 0) else {
            return nil
        }
        host = endpoint.address.isUnspecified ? "::" : "\(endpoint.address)"
        port = Int(endpoint.port)
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
