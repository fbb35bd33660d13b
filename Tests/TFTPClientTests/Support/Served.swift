import Foundation
import Logging
import SystemPackage
import TFTPClient
import TFTPServer
import Testing

/// A server of ours in this process over a folder of its own, a client, and a folder for what it
/// gets. Gone at the end.
struct Served {
    let server: TFTPClient.Server
    let client: TFTPClient
    let folder: Folder
    /// What serves.
    let host: TFTPServer

    static func run(
        _ configure: (inout TFTPServer.Configuration) -> Void = { _ in },
        prepare: (Folder) throws -> Void = { _ in },
        get: TFTPServer.GetHandler? = nil, put: TFTPServer.PutHandler? = nil,
        body: (Served) async throws -> Void
    ) async throws {
        let folder = try Folder()
        defer { folder.remove() }
        try prepare(folder)
        var configuration = TFTPServer.Configuration(root: folder.root)
        configuration.listen = [try TFTPServer.ListenAddress("127.0.0.1:0")]
        configuration.shards = 1
        configuration.cacheSize = 64 << 20
        configuration.upload = .overwrite
        configure(&configuration)
        var logger = Logger(label: "server")
        logger.logLevel = .critical
        let server = TFTPServer(configuration, logger: logger, get: get, put: put)
        let running = Task { try await server.run() }
        let address = try TFTPClient.Server(try await server.waitUntilListening()[0])
        let client = try TFTPClient()
        let result = await Result {
            try await withTaskExecutorPreference(OwnThread()) {
                try await body(
                    Served(server: address, client: client, folder: folder, host: server))
            }
        }
        client.close()
        server.stop(drain: .zero)
        try await running.value
        try result.get()
    }
}

/// A folder with a `root` to be served and an `out` to write to.
final class Folder: Sendable {
    let path: String
    var root: String { path + "/root" }
    var out: String { path + "/out" }

    init() throws {
        path =
            FileManager.default.temporaryDirectory
            .appending(path: "bootstorm-client-\(UUID().uuidString)").path
        for name in ["root", "out"] {
            try FileManager.default.createDirectory(
                atPath: path + "/" + name, withIntermediateDirectories: true)
        }
    }

    deinit { remove() }

    func remove() { try? FileManager.default.removeItem(atPath: path) }

    func publish(_ bytes: [UInt8], as name: String) throws {
        try Data(bytes).write(to: URL(filePath: root + "/" + name))
    }

    func published(_ name: String) -> [UInt8]? {
        FileManager.default.contents(atPath: root + "/" + name).map { Array($0) }
    }

    func target(_ name: String) -> FilePath { FilePath(out + "/" + name) }

    func got(_ name: String) -> [UInt8]? {
        FileManager.default.contents(atPath: out + "/" + name).map { Array($0) }
    }

    /// Everything that lies where files are written to, hidden ones too.
    var outNames: [String] { (try? FileManager.default.contentsOfDirectory(atPath: out)) ?? ["?"] }
}

/// Bytes that are the same in every run and do not repeat.
func content(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
        for index in 0..<count {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            buffer[index] = UInt8(truncatingIfNeeded: state >> 56)
        }
        initializedCount = count
    }
}

/// Text with line ends of every kind in it.
func text(_ count: Int) -> [UInt8] {
    content(count).map { byte in
        switch byte % 16 {
        case 0: UInt8(ascii: "\n")
        case 1: UInt8(ascii: "\r")
        default: UInt8(ascii: "a") + byte % 16
        }
    }
}

/// As netascii has it on the wire (RFC 764).
func netascii(_ text: [UInt8]) -> [UInt8] {
    text.flatMap { byte -> [UInt8] in
        switch byte {
        case UInt8(ascii: "\n"): [13, 10]
        case UInt8(ascii: "\r"): [13, 0]
        default: [byte]
        }
    }
}

extension TFTPClient.Options {
    init(
        blksize: UInt16 = 512, windowsize: UInt16 = 1, patience: Duration = .seconds(20),
        tsize: Bool = true, timeout: UInt8? = nil
    ) {
        self.init()
        self.blksize = .bytes(blksize)
        self.windowsize = windowsize
        self.patience = patience
        self.tsize = tsize
        self.timeout = timeout
    }

    /// Nothing is asked for.
    static var plain: Self {
        var options = Self(blksize: 512)
        options.negotiates = false
        return options
    }
}
