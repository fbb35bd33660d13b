import Foundation
import Loopback
import Synchronization
import TFTPClient
import TFTPServer
import Testing

/// Sealed transfers without an attacker.
struct SealedTests {
    /// Around the ends of blocks, which have 1452 bytes of content, and some MiB.
    static let byteCounts = [0, 1, 1451, 1452, 1453, 2 * 1452, 3 << 20]

    @Test(arguments: [1, 16, 64] as [UInt16])
    func gets(windowsize: UInt16) async throws {
        try await SealedPair.run { pair in
            for count in Self.byteCounts {
                let bytes = content(count)
                try pair.folder.publish(bytes, as: "file")
                let download = try await pair.client.get(
                    "file", from: pair.server, options: try pair.options(windowsize: windowsize))
                #expect(download.bytes == bytes, "\(count) bytes")
                #expect(download.summary.byteCount == UInt64(count))
                #expect(download.summary.tsize == UInt64(count))
            }
        }
    }

    @Test(arguments: [1, 16, 64] as [UInt16])
    func puts(windowsize: UInt16) async throws {
        try await SealedPair.run { pair in
            for count in Self.byteCounts {
                let bytes = content(count)
                let summary = try await pair.client.put(
                    bytes, as: "file", to: pair.server,
                    options: try pair.options(windowsize: windowsize))
                #expect(pair.folder.published("file") == bytes, "\(count) bytes")
                #expect(summary.byteCount == UInt64(count))
            }
        }
    }

    @Test(arguments: [1, 16, 64] as [UInt16])
    func losesNothingThatTheNetworkLoses(windowsize: UInt16) async throws {
        let dice = Mutex<UInt64>(7)
        let rule: MiddleMan.Rule = { way, bytes in
            let isLost = dice.withLock { dice in
                dice = dice &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return dice >> 56 < 13
            }
            return isLost ? [] : [(way, bytes)]
        }
        try await SealedPair.run { pair in
            let bytes = content(windowsize == 1 ? 60_000 : 600_000)
            try pair.folder.publish(bytes, as: "file")
            try await MiddleMan.stand(before: pair.server, rule: rule) { server, _ in
                var options = try pair.options(windowsize: windowsize, patience: .seconds(20))
                options.timeout = 1
                let download = try await pair.client.get("file", from: server, options: options)
                #expect(download.bytes == bytes)
                _ = try await pair.client.put(bytes, as: "copy", to: server, options: options)
                #expect(pair.folder.published("copy") == bytes)
            }
        }
    }

    /// Whichever packet of a transfer is lost.
    @Test(arguments: [1, 4] as [UInt16])
    func losesNothingWhicheverPacketIsLost(windowsize: UInt16) async throws {
        try await SealedPair.run { pair in
            let bytes = content(6 * 1452 + 100)
            try pair.folder.publish(bytes, as: "file")
            try await withThrowingTaskGroup { group in
                for lost in 0..<20 {
                    group.addTask {
                        let count = Atomic(0)
                        let rule: MiddleMan.Rule = { way, bytes in
                            let number = count.add(1, ordering: .relaxed).oldValue
                            return number == lost ? [] : [(way, bytes)]
                        }
                        var options = try pair.options(
                            windowsize: windowsize, patience: .seconds(20))
                        options.timeout = 1
                        let asked = options
                        try await MiddleMan.stand(before: pair.server, rule: rule) { server, man in
                            let download = try await pair.client.get(
                                "file", from: server, options: asked)
                            #expect(
                                download.bytes == bytes, "packet \(lost) of \(man.capture.count)")
                        }
                        count.store(0, ordering: .relaxed)
                        try await MiddleMan.stand(before: pair.server, rule: rule) { server, man in
                            let name = "copy-\(lost)"
                            _ = try await pair.client.put(
                                bytes, as: name, to: server, options: asked)
                            #expect(
                                pair.folder.published(name) == bytes,
                                "packet \(lost) of \(man.capture.count)")
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    /// More blocks than there are numbers for.
    @Test func countsOnBeyond65535() async throws {
        try await SealedPair.run { pair in
            let bytes = content(66_000 * 16)
            try pair.folder.publish(bytes, as: "file")
            let options = try pair.options(blksize: 32, windowsize: 64)
            let download = try await pair.client.get("file", from: pair.server, options: options)
            #expect(download.bytes == bytes)
            _ = try await pair.client.put(bytes, as: "copy", to: pair.server, options: options)
            #expect(pair.folder.published("copy") == bytes)
        }
    }

    @Test func translatesText() async throws {
        try await SealedPair.run { pair in
            let lines = text(100_000)
            try pair.folder.publish(lines, as: "file")
            var options = try pair.options()
            options.mode = .netascii
            let download = try await pair.client.get("file", from: pair.server, options: options)
            #expect(download.bytes == lines)
            _ = try await pair.client.put(lines, as: "copy", to: pair.server, options: options)
            #expect(pair.folder.published("copy") == lines)
        }
    }

    /// A part is cut out before it is sealed.
    @Test(
        arguments: [(0, 5), (5000, nil), (99_999, 10), (100_000, nil), (1452, 2904)]
            as [(UInt64, UInt64?)])
    func getsAPart(offset: UInt64, length: UInt64?) async throws {
        try await SealedPair.run(get: { request in
            request.name == "made"
                ? .stream(size: 100_000) { writer in
                    for start in stride(from: 0, to: 100_000, by: 7000) {
                        try await writer.write(content(100_000)[start..<min(100_000, start + 7000)])
                    }
                } : .file
        }) { pair in
            let bytes = content(100_000)
            try pair.folder.publish(bytes, as: "file")
            var options = try pair.options()
            options.offset = offset
            options.length = length
            let end = min(100_000, offset + (length ?? 100_000))
            for name in ["file", "made"] {
                let download = try await pair.client.get(name, from: pair.server, options: options)
                #expect(download.bytes == Array(bytes[Int(offset)..<Int(end)]), "\(name)")
            }
            options.offset = 100_001
            await #expect(throws: TFTPClient.Failure.self) {
                try await pair.client.get("file", from: pair.server, options: options)
            }
        }
    }

    @Test func filesAndSequences() async throws {
        try await SealedPair.run { pair in
            let bytes = content(300_000)
            try pair.folder.publish(bytes, as: "file")
            let options = try pair.options()
            let path = pair.folder.target("out")
            _ = try await pair.client.get("file", from: pair.server, to: path, options: options)
            #expect(pair.folder.got("out") == bytes)
            _ = try await pair.client.put(
                contentsOf: path, as: "copy", to: pair.server, options: options)
            #expect(pair.folder.published("copy") == bytes)
            let (stream, source) = AsyncStream<[UInt8]>.makeStream()
            for start in stride(from: 0, to: bytes.count, by: 1000) {
                source.yield(Array(bytes[start..<(start + 1000)]))
            }
            source.finish()
            _ = try await pair.client.put(stream, as: "stream", to: pair.server, options: options)
            #expect(pair.folder.published("stream") == bytes)
        }
    }

    /// The server says under the seal why there is nothing, and the client believes it at once.
    @Test func refusalsAreSealed() async throws {
        try await SealedPair.run { pair in
            var options = try pair.options(patience: .seconds(20))
            options.timeout = 20
            let asked = options
            let began = ContinuousClock.now
            await #expect(throws: TFTPClient.Failure.notFound(name: "missing")) {
                try await pair.client.get("missing", from: pair.server, options: asked)
            }
            let forbidden = TFTPClient.Failure.refused(code: 2, message: "Access violation")
            await #expect(throws: forbidden) {
                try await pair.client.get("../secret", from: pair.server, options: asked)
            }
            // The client would have waited for a time-out after an unencrypted answer.
            #expect(ContinuousClock.now - began < .seconds(15))
        }
    }

    /// What is found out only when the file is to be made is told under the seal too.
    @Test func aFileThatIsThereIsNotReplaced() async throws {
        try await SealedPair.run(configure: { $0.upload = .create }) { pair in
            try pair.folder.publish([1], as: "file")
            let options = try pair.options()
            let failure = TFTPClient.Failure.refused(code: 6, message: "File already exists")
            await #expect(throws: failure) {
                try await pair.client.put(
                    content(100_000), as: "file", to: pair.server, options: options)
            }
            #expect(pair.folder.published("file") == [1])
        }
    }

    /// Like an unencrypted request.
    @Test func aFolderThatIsReplacedIsFollowed() async throws {
        try await SealedPair.run { pair in
            try pair.folder.publish([1], as: "file")
            let root = pair.folder.root
            try FileManager.default.moveItem(atPath: root, toPath: root + "-moved")
            try FileManager.default.createDirectory(
                atPath: root, withIntermediateDirectories: true)
            try pair.folder.publish([2], as: "file")
            let plain = try await pair.client.get("file", from: pair.server)
            let sealed = try await pair.client.get(
                "file", from: pair.server, options: try pair.options())
            #expect(plain.bytes == [2])
            #expect(sealed.bytes == [2])
        }
    }

    /// A part does not make the handler produce the rest.
    @Test func onlyThePartIsProduced() async throws {
        let writtenCount = Mutex(0)
        try await SealedPair.run(get: { _ in
            .stream(size: 4 << 30) { writer in
                let piece = [UInt8](repeating: 7, count: 64 << 10)
                while true {
                    try await writer.write(piece)
                    writtenCount.withLock { $0 += piece.count }
                }
            }
        }) { pair in
            var options = try pair.options(patience: .seconds(20))
            options.offset = 1 << 20
            options.length = 1 << 20
            let download = try await pair.client.get("made", from: pair.server, options: options)
            #expect(download.bytes == [UInt8](repeating: 7, count: 1 << 20))
            #expect(writtenCount.withLock { $0 } <= 2 << 20)
        }
    }

    /// A handler that writes now and then is not too slow, even if all of it makes one block, or
    /// most of it is skipped. On a machine that delays the handler by half of its time-out, the
    /// test proves nothing.
    @Test(arguments: [0, 900] as [UInt64])
    func aTrickle(offset: UInt64) async throws {
        let bytes = content(1000)
        let pauses = Mutex((last: ContinuousClock.now, longest: Duration.zero))
        let notePause: @Sendable () -> Void = {
            pauses.withLock { pauses in
                let now = ContinuousClock.now
                pauses.longest = max(pauses.longest, now - pauses.last)
                pauses.last = now
            }
        }
        try await SealedPair.run(
            configure: { $0.handlerTimeout = .seconds(2) },
            get: { _ in
                .stream(size: 1000) { writer in
                    for start in stride(from: 0, to: 1000, by: 40) {
                        notePause()
                        // Time is what this is about.
                        try await Task.sleep(for: .milliseconds(100))
                        try await writer.write(bytes[start..<(start + 40)])
                    }
                }
            }
        ) { pair in
            var options = try pair.options(patience: .seconds(20))
            options.offset = offset
            pauses.withLock { $0.last = .now }
            do {
                let download = try await pair.client.get(
                    "made", from: pair.server, options: options)
                #expect(download.bytes == Array(bytes[Int(offset)...]))
            } catch {
                notePause()
                #expect(pauses.withLock { $0.longest } > .seconds(1), "\(error)")
            }
        }
    }

    /// A handler may announce any size; no memory is taken for an impossible one.
    @Test(arguments: [(1 << 63, 0), (.max, 0), (1 << 60, (1 << 60) - 5)] as [(UInt64, UInt64)])
    func anImpossibleSize(size: UInt64, offset: UInt64) async throws {
        try await SealedPair.run(get: { request in
            request.name == "made" ? .stream(size: size, key: "made") { _ in } : .text("still here")
        }) { pair in
            var options = try pair.options()
            options.offset = offset
            let asked = options
            await #expect(throws: TFTPClient.Failure.self) {
                try await pair.client.get("made", from: pair.server, options: asked)
            }
            let download = try await pair.client.get(
                "other", from: pair.server, options: try pair.options())
            #expect(download.bytes == Array("still here".utf8))
        }
    }

    @Test func handlersSeeWhatIsInside() async throws {
        let taken = Mutex<[UInt8]>([])
        try await SealedPair.run(
            get: { request in
                guard request.isSealed else { return .refused() }
                switch request.name {
                case "text": return .text("hello")
                case "stream":
                    return .stream { writer in
                        for _ in 0..<100 { try await writer.write(content(10_000)) }
                    }
                case "wrong": return .stream(size: 5) { writer in try await writer.write([1]) }
                case "fails": return .stream(size: 5) { _ in throw CancellationError() }
                case "no": return .refused("not for you")
                default: return .file
                }
            },
            put: { upload in
                guard upload.isSealed, upload.name == "taken" else { return .accept(.overwrite) }
                return .take { bytes in
                    for try await piece in bytes { taken.withLock { $0 += piece } }
                }
            }
        ) { pair in
            let options = try pair.options(patience: .seconds(20))
            func get(_ name: String) async throws -> [UInt8] {
                try await pair.client.get(name, from: pair.server, options: options).bytes
            }
            try pair.folder.publish([7], as: "file")
            #expect(try await get("text") == Array("hello".utf8))
            #expect(try await get("stream") == (0..<100).flatMap { _ in content(10_000) })
            #expect(try await get("file") == [7])
            await #expect(throws: TFTPClient.Failure.refused(code: 2, message: "not for you")) {
                try await get("no")
            }
            await #expect(throws: TFTPClient.Failure.self) { try await get("wrong") }
            // The server has granted it, and says under the seal that nothing comes.
            let error = await #expect(throws: TFTPClient.Failure.self) { try await get("fails") }
            guard case .refused(code: 0, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            let bytes = content(200_000)
            _ = try await pair.client.put(bytes, as: "taken", to: pair.server, options: options)
            #expect(taken.withLock { $0 } == bytes)
            _ = try await pair.client.put(bytes, as: "kept", to: pair.server, options: options)
            #expect(pair.folder.published("kept") == bytes)
        }
    }

    // MARK: Keys

    @Test func keysAreChangedOneEndAfterTheOther() async throws {
        try await SealedPair.run(keys: ["new", "old"]) { pair in
            try pair.folder.publish([1, 2], as: "file")
            for names in [["old"], ["new"]] {
                var options = try pair.options()
                options.sealKeys = try TFTPClient.SealKeys(keyLines(names))
                let download = try await pair.client.get(
                    "file", from: pair.server, options: options)
                #expect(download.bytes == [1, 2])
            }
        }
    }

    /// A key that the server does not have, and another one under an ID that it has.
    @Test(arguments: ["other", "k1/2"])
    func aWrongKeyGetsNothing(key: String) async throws {
        try await SealedPair.run { pair in
            try pair.folder.publish([1, 2], as: "file")
            let options = try pair.options(key)
            let error = await #expect(throws: TFTPClient.Failure.self) {
                try await pair.client.get("file", from: pair.server, options: options)
            }
            guard case .sealRefused(code: 2, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            await #expect(throws: TFTPClient.Failure.self) {
                try await pair.client.put([1], as: "new", to: pair.server, options: options)
            }
            #expect(pair.folder.published("new") == nil)
        }
    }

    // MARK: Networks that require a seal

    @Test(arguments: [
        ("all", true), ("127.0.0.0/8", true), ("127.0.0.1", true), ("10.0.0.0/8", false),
    ])
    func plainRequestsAreRefused(network: String, isRefused: Bool) async throws {
        let network = try #require(TFTPServer.Network(network))
        try await SealedPair.run(requires: [network]) { pair in
            try pair.folder.publish([1, 2], as: "file")
            let sealed = try await pair.client.get(
                "file", from: pair.server, options: try pair.options())
            #expect(sealed.bytes == [1, 2])
            guard isRefused else {
                let plain = try await pair.client.get("file", from: pair.server)
                #expect(plain.bytes == [1, 2])
                return
            }
            let failure = TFTPClient.Failure.refused(
                code: 2, message: "Sealed transfers only: request with a seal key")
            await #expect(throws: failure) { try await pair.client.get("file", from: pair.server) }
            await #expect(throws: failure) {
                try await pair.client.put([1], as: "new", to: pair.server)
            }
            #expect(pair.folder.published("new") == nil)
        }
    }

    @Test func whatIsNoNetwork() {
        let texts = [
            "", "10.0.0.0/33", "10.0.0.0/-1", "fd00::/129", "host", "10.0.0.0/8/8", "/8",
            // It would match no client: requests are compared without their interface.
            "fe80::1%lo", "fe80::%lo/64",
        ]
        for text in texts {
            #expect(TFTPServer.Network(text) == nil, "\(text)")
        }
    }

    /// Also when the patience is over before the first time-out, in which something better might
    /// have come.
    @Test func aPlainServerIsKnownInTime() async throws {
        try await Served.run { served in
            var options = TFTPClient.Options(patience: .milliseconds(200))
            options.sealKeys = try TFTPClient.SealKeys(keyLines(["k1"]))
            let failure = TFTPClient.Failure.sealRefused(code: 1, message: "File not found")
            await #expect(throws: failure) {
                try await served.client.get("file", from: served.server, options: options)
            }
        }
    }

    /// A server that knows nothing of seals answers a request that it does not understand.
    @Test func aPlainServerIsRefused() async throws {
        try await Served.run { served in
            var options = TFTPClient.Options(blksize: 1468, windowsize: 4)
            options.sealKeys = try TFTPClient.SealKeys(keyLines(["k1"]))
            let error = await #expect(throws: TFTPClient.Failure.self) {
                try await served.client.get("file", from: served.server, options: options)
            }
            guard case .sealRefused(code: 1, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            // It may even have what stands where the name should.
            try served.folder.publish([1], as: "sealed")
            await #expect(throws: TFTPClient.Failure.notSealed) {
                try await served.client.get("file", from: served.server, options: options)
            }
            await #expect(throws: TFTPClient.Failure.notSealed) {
                try await served.client.put([9], as: "file", to: served.server, options: options)
            }
            #expect(served.folder.published("sealed") == [1])
        }
    }
}

/// Sealed transfers from a tree of snapshots: the true name is under the seal, and leads to the
/// same file as an unencrypted one.
struct SealedSnapshotTests {
    private static func publish(_ name: String, _ folder: Folder) throws {
        let image = folder.path + "/image-\(name)"
        try FileManager.default.createDirectory(
            atPath: image, withIntermediateDirectories: true)
        for file in ["kernel", "initrd"] {
            try Data("\(file) of \(name)".utf8).write(to: URL(filePath: "\(image)/\(file)"))
        }
        try TFTPServer.Snapshots(root: folder.root).publish(image, as: name)
    }

    @Test func sealedAndPlainShareAHold() async throws {
        try await SealedPair.run(prepare: { try Self.publish("a", $0) }) {
            $0.snapshotHold = .seconds(60)
            $0.upload = .deny
        } get: { request in
            request.name == "cfg" ? .text("cfg of \(request.snapshot ?? "none")") : .file
        } body: { pair in
            func get(_ name: String, sealed: Bool) async throws -> String {
                let options = sealed ? try pair.options() : TFTPClient.Options()
                let download = try await pair.client.get(name, from: pair.server, options: options)
                return String(decoding: download.bytes, as: UTF8.self)
            }
            #expect(try await get("kernel", sealed: true) == "kernel of a")
            try Self.publish("b", pair.folder)
            #expect(try await get("initrd", sealed: true) == "initrd of a")
            #expect(try await get("initrd", sealed: false) == "initrd of a")
            #expect(try await get("cfg", sealed: true) == "cfg of a")
            #expect(try await get("sets/b/initrd", sealed: true) == "initrd of b")
            await #expect(throws: TFTPClient.Failure.self) {
                try await get("sets/c/initrd", sealed: true)
            }
            await #expect(throws: TFTPClient.Failure.self) {
                try await get("../b/initrd", sealed: true)
            }
            await #expect(throws: TFTPClient.Failure.self) {
                try await pair.client.put(
                    [1], as: "new", to: pair.server, options: try pair.options())
            }
        }
    }
}
