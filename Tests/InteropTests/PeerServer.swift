import Foundation
import Testing

/// Another TFTP server, as `tools/dev peers` has fetched it.
enum PeerServer: String, CaseIterable {
    case tftpdHPA = "tftpd-hpa"
    case atftpd
    case dnsmasq
    case fbtftp

    /// A line of `peers.tsv`: the program and its libraries, or nothing and why it is missing.
    private struct Line {
        let program: String
        let detail: String
    }

    private static let lines: [String: Line] = {
        let table = repository.appending(path: ".build-peers/peers.tsv")
        guard let text = try? String(contentsOf: table, encoding: .utf8) else { return [:] }
        let fields = text.split(separator: "\n").map {
            $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        }
        return Dictionary(
            uniqueKeysWithValues: fields.map { ($0[0], Line(program: $0[1], detail: $0[2])) })
    }()

    private static let repository = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    var isAvailable: Bool { PeerServer.lines[rawValue]?.program.isEmpty == false }

    var isMissing: Comment {
        guard let line = PeerServer.lines[rawValue] else {
            return "\(rawValue) is not here: tools/dev peers fetches it"
        }
        return "\(rawValue): \(line.detail)"
    }

    /// Debian's dnsmasq answers on port 69 only, so it gets an address of its own.
    var host: String { self == .dnsmasq ? "127.0.0.69" : "127.0.0.1" }

    /// Serves `folder` while `body`, which gets `HOST:PORT`, runs.
    func serve(_ folder: URL, _ body: (String) async throws -> Void) async throws {
        let port = self == .dnsmasq ? 69 : try PeerServer.freePort()
        let program = PeerServer.lines[rawValue]!.program
        let child = try ChildProcess(
            URL(filePath: "/bin/sh"),
            ["-c", PeerServer.keeper, "peer", program] + arguments(folder.path, port),
            output: folder.deletingLastPathComponent().appending(path: "peer.out"),
            environment: environment)
        let result = await Swift.Result.catching {
            try await waitUntilBound(port, child)
            try await body("\(host):\(port)")
        }
        child.terminate()
        _ = try? await child.exitStatus(within: .seconds(5))
        try result.get()
    }

    /// Stands between: Foundation tells the end of a child by a descriptor that the child has,
    /// which dnsmasq closes.
    private static let keeper = """
        "$@" &
        trap "kill $!" TERM
        wait $!
        wait $!
        """

    private var environment: [String: String] {
        let detail = PeerServer.lines[rawValue]!.detail
        return self == .fbtftp ? ["PYTHONPATH": detail] : ["LD_LIBRARY_PATH": detail]
    }

    private func arguments(_ folder: String, _ port: Int) -> [String] {
        switch self {
        case .tftpdHPA:
            [
                "--foreground", "--ipv4", "--address", "\(host):\(port)", "--user", "root",
                "--create",
                "--secure", folder,
            ]
        case .atftpd:
            // It becomes the user nobody by default. Without root it can only keep its user.
            [
                "--daemon", "--no-fork", "--bind-address", host, "--port", "\(port)", "--user",
                ProcessInfo.processInfo.userName, "--group", PeerServer.ownGroup, "--logfile", "-",
                folder,
            ]
        case .dnsmasq:
            [
                "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--log-facility=-",
                "--user=root", "--listen-address=\(host)", "--bind-interfaces", "--port=0",
                "--enable-tftp", "--tftp-root=\(folder)",
            ]
        case .fbtftp:
            [
                URL(filePath: #filePath).deletingLastPathComponent()
                    .appending(path: "fbtftp_server.py").path, folder, "\(port)",
            ]
        }
    }

    private static var ownGroup: String {
        getgrgid(getegid()).map { String(cString: $0.pointee.gr_name) } ?? "root"
    }

    /// A port that is free, and that the system does not assign by itself.
    private static func freePort() throws -> Int {
        for _ in 0..<100 {
            let port = Int.random(in: 20_000..<30_000)
            let file = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            defer { close(file) }
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = UInt16(port).bigEndian
            let status = withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if status == 0 { return port }
        }
        throw InteropError("no free port")
    }

    /// The server does not answer until the kernel lists a socket of that port.
    private func waitUntilBound(_ port: Int, _ child: ChildProcess) async throws {
        let digits = String(port, radix: 16, uppercase: true)
        let suffix = ":" + String(repeating: "0", count: 4 - digits.count) + digits
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline, child.isRunning {
            for table in ["/proc/net/udp", "/proc/net/udp6"] {
                let text = PeerServer.wholeText(of: table)
                let local = text.split(separator: "\n").compactMap {
                    $0.split(separator: " ").dropFirst().first
                }
                if local.contains(where: { $0.hasSuffix(suffix) }) { return }
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw InteropError("\(rawValue) does not listen; it printed: \(child.output)")
    }

    /// A file of `/proc` has no size and comes a page at a time: Foundation would take the first
    /// page for all of it.
    private static func wholeText(of path: String) -> String {
        guard let handle = FileHandle(forReadingAtPath: path) else { return "" }
        defer { try? handle.close() }
        var data = Data()
        while let page = try? handle.read(upToCount: 65_536), !page.isEmpty { data += page }
        return String(decoding: data, as: UTF8.self)
    }
}

extension Result where Failure == any Error {
    static func catching(_ body: () async throws -> Success) async -> Self {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}
