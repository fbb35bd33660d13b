import Foundation
import Glibc
import Logging
import Synchronization
import TFTPClient
import TFTPMetrics
import TFTPPeer
import TFTPServer

/// Nodes and servers on loopback addresses of their own, with a folder each.
final class Group: Sendable {
    struct Member: Sendable {
        let address: TFTPClient.Server
        let folder: URL
        let server: TFTPServer
        let node: PeerNode?

        func write(_ name: String, _ bytes: [UInt8]) throws {
            try Data(bytes).write(to: folder.appending(path: name))
        }

        /// Corrupts a byte of a file as a disk does: without a change of its times.
        func rot(_ name: String, at offset: Int) throws {
            let file = open(folder.appending(path: name).path, O_RDWR)
            defer { close(file) }
            let page = offset / 4096 * 4096
            let bytes = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, page)
            guard let bytes, bytes != MAP_FAILED else {
                throw POSIXError(.init(rawValue: errno) ?? .EIO)
            }
            bytes.assumingMemoryBound(to: UInt8.self)[offset - page] ^= 1
            munmap(bytes, 4096)
        }
    }

    let members: [Member]

    /// Runs `nodeCount` nodes that know each other, and themselves, and a plain server for each of
    /// `plain`, while `body` runs.
    ///
    /// - Parameters:
    ///   - plain: handlers of plain servers, nil for a folder alone; they come first among the
    ///     members.
    ///   - requireSeal: where nodes refuse plain requests. They open sealed ones with the keys that
    ///     they ask with.
    ///   - inMemory: the folders are on a file system in memory.
    ///   - prepare: fills the folder of the member with this number.
    ///   - configure: gets the addresses of all, the plain ones first.
    static func run(
        nodes nodeCount: Int, plain: [TFTPServer.GetHandler?] = [],
        requireSeal: [TFTPServer.Network] = [], inMemory: Bool = false, logger: Logger = .none,
        prepare: (Int, URL) throws -> Void = { _, _ in },
        configure: (inout PeerNode.Configuration, [TFTPClient.Server]) throws -> Void,
        body: (Group) async throws -> Void
    ) async throws {
        // 127.0.0.0/8 is this machine's alone, so a random address of it has a free port.
        let net = "127.\(Int.random(in: 70...250)).\(Int.random(in: 0...255))"
        let addresses = (1...(plain.count + nodeCount)).map {
            TFTPClient.Server(host: "\(net).\($0)", port: 6969)
        }
        var members: [Member] = []
        for (index, address) in addresses.enumerated() {
            let folder = try makeFolder(inMemory: inMemory)
            try prepare(index, folder)
            var configuration = TFTPServer.Configuration(root: folder.path)
            configuration.listen = [try TFTPServer.ListenAddress("\(address)")]
            configuration.shards = 1
            configuration.cacheSize = 64 << 20
            configuration.transfersMax = 256
            guard index >= plain.count else {
                let server = TFTPServer(configuration, logger: logger, get: plain[index])
                members.append(
                    Member(address: address, folder: folder, server: server, node: nil))
                continue
            }
            var sharing = PeerNode.Configuration(root: folder.path)
            sharing.peers = Array(addresses.dropFirst(plain.count))
            // Debug builds on a busy machine; what is measured is what does not happen.
            sharing.patience = .seconds(2)
            try configure(&sharing, addresses)
            if sharing.hasSnapshots { configuration.snapshotHold = .seconds(60) }
            let node = try PeerNode(sharing, logger: logger)
            node.prepare(&configuration)
            configuration.sealKeys = sharing.sealKeys
            configuration.requireSeal = requireSeal
            let server = TFTPServer(configuration, logger: logger, get: node.answer)
            members.append(Member(address: address, folder: folder, server: server, node: node))
        }
        let group = Group(members)
        defer { for member in members { try? FileManager.default.removeItem(at: member.folder) } }
        try await withThrowingTaskGroup { tasks in
            for member in members { tasks.addTask { try await member.server.run() } }
            for member in members { _ = try await member.server.waitUntilListening() }
            let result: Result<Void, any Error>
            do { result = .success(try await body(group)) } catch { result = .failure(error) }
            for member in members { member.server.stop(drain: .zero) }
            try await tasks.waitForAll()
            try result.get()
        }
    }

    private init(_ members: [Member]) { self.members = members }

    /// Gets `name` from each of `members`, `count` times at once.
    func getAll(
        _ name: String, from members: [Member], count: Int, sealKeys: TFTPClient.SealKeys? = nil
    ) async throws -> [[UInt8]] {
        let client = try TFTPClient()
        var options = TFTPClient.Options()
        options.sealKeys = sealKeys
        return try await withThrowingTaskGroup { tasks in
            for member in members {
                for _ in 0..<count {
                    tasks.addTask { [options] in
                        try await client.get(name, from: member.address, options: options).bytes
                    }
                }
            }
            return try await tasks.reduce(into: []) { $0.append($1) }
        }
    }

}

extension Logger {
    /// Discards everything.
    static let none = Logger(label: "peers") { _ in SwiftLogNoOpLogHandler() }
}

/// Keeps what is logged as a warning or worse, or from another level on.
final class Warnings: Sendable {
    private let lines = Mutex<[String]>([])
    private let level: Logger.Level

    init(from level: Logger.Level = .warning) { self.level = level }

    var all: [String] { lines.withLock { $0 } }
    var logger: Logger { Logger(label: "peers") { _ in Handler(warnings: self) } }

    private struct Handler: LogHandler {
        let warnings: Warnings
        var logLevel: Logger.Level
        var metadata: Logger.Metadata = [:]

        init(warnings: Warnings) {
            self.warnings = warnings
            logLevel = warnings.level
        }

        subscript(metadataKey key: String) -> Logger.MetadataValue? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { warnings.lines.withLock { $0.append("\(event.message)") } }
    }
}

/// Waits, for a minute at most, until something is so.
func wait(_ isSo: () async -> Bool) async throws -> Bool {
    let end = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < end {
        if await isSo() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return await isSo()
}

/// Where files are in memory alone.
let memoryPath = "/dev/shm"

/// A new folder for a test, which removes it.
func makeFolder(inMemory: Bool = false) throws -> URL {
    let place =
        inMemory ? URL(filePath: memoryPath) : FileManager.default.temporaryDirectory
    let folder = place.appending(path: "bootstorm-peers-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
}

func content(_ byteCount: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed
    return (0..<byteCount).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
    }
}
