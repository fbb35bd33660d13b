import Foundation
import Synchronization
import Testing

@testable import TFTPServer

extension ServerTests {
    /// A tree of snapshots, and clients that boot from it while others are published.
    struct SnapshotServeTests {
        private static let names = ["boot/vmlinuz", "boot/initrd", "lib/module"]

        /// Publishes a snapshot whose files say which one they are of.
        private static func publish(_ name: String, in scratch: Scratch) throws {
            let image = "\(scratch.folder)/image-\(name)"
            for file in names {
                let url = URL(filePath: "\(image)/\(file)")
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(content(of: file, in: name)).write(to: url)
            }
            try TFTPServer.Snapshots(root: scratch.root).publish(image, as: name)
            try FileManager.default.removeItem(atPath: image)
        }

        /// Some blocks, of the same size in every snapshot.
        private static func content(of file: String, in snapshot: String) -> [UInt8] {
            let line = "\(snapshot) \(file)\n"
            return Array(String(repeating: line, count: 2000 / line.utf8.count).utf8)
        }

        /// Which snapshot bytes are from; nil where they are not whole, or another file's.
        private static func snapshot(of bytes: [UInt8], _ file: String) -> String? {
            let name = String(decoding: bytes.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
            return bytes == content(of: file, in: name) ? name : nil
        }

        /// Serves a tree that has the snapshot `a`.
        private static func serve(
            _ configure: (inout TFTPServer.Configuration) -> Void = { _ in },
            get: TFTPServer.GetHandler? = nil, put: TFTPServer.PutHandler? = nil,
            body: (TestServer) async throws -> Void
        ) async throws {
            try await TestServer.serve(
                { try publish("a", in: $0) },
                configure: {
                    $0.snapshotHold = .seconds(60)
                    configure(&$0)
                }, get: get, put: put, body: body)
        }

        /// Ports of the machines: none that the system may give to the server's sockets, because
        /// the server takes requests from its own ports for forged ones on any loopback address.
        private static let ports = Mutex<UInt16>(10_000)

        /// What the machine at `host` gets.
        private static func get(
            _ file: String, at host: String, _ server: TestServer
        ) throws -> String? {
            let port = ports.withLock { port in
                port = port == 29_999 ? 10_000 : port + 1
                return port
            }
            let client = try Client(server.endpoint, from: host, port: port)
            return snapshot(of: client.run(Download(file, [.blksize(600)])).bytes, file)
        }

        @Test func aBootKeepsItsSnapshot() async throws {
            try await Self.serve {
                $0.shards = 2
            } body: { server in
                #expect(try Self.get("boot/vmlinuz", at: "127.0.0.2", server) == "a")
                try Self.publish("b", in: server.scratch)
                // Clients that begin now, and clients that have begun, from any port.
                #expect(try Self.get("boot/vmlinuz", at: "127.0.0.3", server) == "b")
                for _ in 0..<5 {
                    #expect(try Self.get("boot/initrd", at: "127.0.0.2", server) == "a")
                }
                try TFTPServer.Snapshots(root: server.scratch.root).rollBack()
                #expect(try Self.get("lib/module", at: "127.0.0.3", server) == "b")
                #expect(try Self.get("lib/module", at: "127.0.0.2", server) == "a")
                #expect(try Self.get("lib/module", at: "127.0.0.4", server) == "a")
            }
        }

        @Test func aHoldEnds() async throws {
            try await Self.serve {
                $0.snapshotHold = .seconds(2)
            } body: { server in
                #expect(try Self.get("boot/vmlinuz", at: "127.0.0.2", server) == "a")
                try Self.publish("b", in: server.scratch)
                let snapshots = TFTPServer.Snapshots(root: server.scratch.root)
                #expect(try snapshots.prune(keeping: 1).held == ["a"])
                #expect(try Self.get("boot/initrd", at: "127.0.0.2", server) == "a")
                // Other clients come and go, until no client holds it any more.
                var number = 3
                let isPruned = server.wait(limit: .seconds(20)) {
                    number += 1
                    let host = "127.\(number >> 16 + 1).\(number >> 8 & 0xFF).\(number & 0xFF)"
                    _ = try? Self.get("boot/initrd", at: host, server)
                    return (try? snapshots.prune(keeping: 1).removed) == ["a"]
                }
                #expect(isPruned)
                #expect(try Self.get("boot/initrd", at: "127.0.0.2", server) == "b")
            }
        }

        @Test func namesThatSayTheirSnapshot() async throws {
            try await Self.serve { server in
                try Self.publish("b", in: server.scratch)
                let initrd = Self.content(of: "boot/initrd", in: "a")
                #expect(try server.get("sets/a/boot/initrd").bytes == initrd)
                // That was no boot: the client holds nothing.
                #expect(try Self.get("boot/initrd", at: "127.0.0.1", server) == "b")
                for name in [
                    "sets/c/boot/initrd", "sets/.publishing-1/x", "sets/a", "boot/no", "sets/a/no",
                    "current/boot/initrd",
                ] {
                    #expect(try server.get(name).state == .refused(1, "File not found"), "\(name)")
                }
                for name in ["../a/boot/initrd", "sets/a/../b/boot/initrd", "boot/../../current"] {
                    let state = try server.get(name).state
                    #expect(state == .refused(2, "Access violation"), "\(name)")
                }
                // Junk at the end of a name is still ignored.
                let junk = Message.request(1, Array("boot/initrd".utf8) + [0xFF], [], mode: "octet")
                let download = try Client(server.endpoint).run(Download(request: junk))
                #expect(download.bytes == Self.content(of: "boot/initrd", in: "b"))
            }
        }

        @Test func handlersKnowTheSnapshot() async throws {
            let asked = Mutex<[String]>([])
            try await Self.serve { _ in
            } get: { request in
                asked.withLock { $0.append("\(request.name) \(request.snapshot ?? "none")") }
                guard request.name == "cfg" else { return .file }
                return .text("cfg of \(request.snapshot ?? "none")")
            } put: { upload in
                asked.withLock { $0.append("put \(upload.snapshot ?? "none")") }
                return upload.name == "taken"
                    ? .take { for try await _ in $0 {} } : .accept(.create)
            } body: { server in
                // A handler's answer begins a boot as a file does.
                #expect(try server.get("cfg").bytes == Array("cfg of a".utf8))
                try Self.publish("b", in: server.scratch)
                #expect(try Self.get("boot/vmlinuz", at: "127.0.0.1", server) == "a")
                #expect(try server.get("cfg").bytes == Array("cfg of a".utf8))
                #expect(try Self.get("boot/vmlinuz", at: "127.0.0.2", server) == "b")
                #expect(try server.get(".bootstorm/offer/x").state == .refused(1, "File not found"))
                #expect(try server.get("sets/c/x").state == .refused(1, "File not found"))
                let list = server.scratch.list()
                #expect(try server.put("new", [1]).state == .refused(2, "Access violation"))
                #expect(try server.put("taken", [1]).state == .done)
                #expect(server.scratch.list() == list)
                #expect(
                    asked.withLock { $0 } == [
                        "cfg a", "boot/vmlinuz a", "cfg a", "boot/vmlinuz b",
                        ".bootstorm/offer/x b", "sets/c/x none", "put none", "put none",
                    ])
            }
        }

        @Test func aHandlerBehindTheFolder() async throws {
            try await Self.serve {
                $0.handlerOrder = .afterFolder
            } get: { request in
                .text("\(request.name) of \(request.snapshot ?? "none")")
            } body: { server in
                #expect(try server.get("cfg").bytes == Array("cfg of a".utf8))
                try Self.publish("b", in: server.scratch)
                #expect(try Self.get("boot/vmlinuz", at: "127.0.0.1", server) == "a")
                #expect(try server.get("cfg").bytes == Array("cfg of a".utf8))
                #expect(try server.get("sets/b/no").bytes == Array("sets/b/no of b".utf8))
                #expect(try server.get("sets/c/no").bytes == Array("sets/c/no of none".utf8))
            }
        }

        /// An operator's mistake is not a missing file: a boot loader would go on to another name.
        @Test func aTreeThatIsBroken() async throws {
            try await Self.serve { server in
                #expect(try Self.get("boot/vmlinuz", at: "127.0.0.2", server) == "a")
                for target in [nil, "sets/no", "sets/a/boot", "../outside", "sets"] as [String?] {
                    try FileManager.default.removeItem(atPath: server.scratch.path("current"))
                    if let target { try server.scratch.link("current", to: target) }
                    let state = try server.get("boot/vmlinuz").state
                    #expect(state == .refused(0, "Input or output error"), "\(target ?? "-")")
                    #expect(try Self.get("boot/initrd", at: "127.0.0.2", server) == "a")
                    if target == nil { try server.scratch.link("current", to: "sets/a") }
                }
                try TFTPServer.Snapshots(root: server.scratch.root).rollBack(to: "a")
                #expect(try Self.get("boot/vmlinuz", at: "127.0.0.1", server) == "a")
            }
        }

        @Test func aFolderThatIsNoTree() async throws {
            let error = await #expect(throws: ServerError.self) {
                try await TestServer.serve {
                    try $0.write("file", [1])
                } configure: {
                    $0.snapshotHold = .seconds(60)
                } body: { _ in
                }
            }
            #expect(error?.reason == .snapshots)
        }

        @Test func bounds() {
            var configuration = TFTPServer.Configuration(root: "/srv/tftp")
            configuration.snapshotHold = .milliseconds(999)
            #expect(configuration.problem?.contains("1 second") == true)
            configuration.snapshotHold = .seconds(86_401)
            #expect(configuration.problem?.contains("1 second") == true)
            configuration.snapshotHold = .seconds(86_400)
            #expect(configuration.problem == nil)
            configuration.upload = .create
            #expect(configuration.problem?.contains("not written to") == true)
        }

        // MARK: A hall

        /// 1,000 machines boot in no order, dozens of them at any time, while 20 snapshots are
        /// published and 5 taken back.
        @Test(.timeLimit(.minutes(2))) func noBootMixesSnapshots() async throws {
            try await TestServer.serve {
                try Self.publish("s00", in: $0)
            } configure: {
                $0.snapshotHold = .seconds(300)
                $0.shards = 2
            } body: { server in
                let hall = Hall(server)
                let workers = (0..<4).map { seed in
                    Task.detached(executorPreference: OwnThread()) {
                        try hall.work(seed: UInt64(seed))
                    }
                }
                let snapshots = TFTPServer.Snapshots(root: server.scratch.root)
                for number in 1...Hall.publicationCount {
                    hall.wait(untilBegun: number * Hall.batchCount)
                    try Self.publish(number < 10 ? "s0\(number)" : "s\(number)", in: server.scratch)
                    hall.notePublication()
                    if number % 4 == 0 {
                        hall.wait(untilBegun: number * Hall.batchCount + Hall.batchCount / 2)
                        try snapshots.rollBack()
                    }
                }
                for worker in workers { try await worker.value }
                let boots = hall.boots
                #expect(boots.count == 1000)
                for boot in boots { #expect(boot.count == 3 && Set(boot).count == 1, "\(boot)") }
                let counts = Dictionary(grouping: boots) { $0[0] }.mapValues(\.count)
                #expect(counts.count >= 20, "most of the 21 snapshots were booted from: \(counts)")
                #expect(
                    hall.switchedCount > 700,
                    "\(hall.switchedCount) boots had another snapshot current at their end than at their beginning"
                )
                #expect(try snapshots.list().count == 21)
            }
        }

        /// Machines that boot, and what each of them got.
        ///
        /// They come in batches. A machine begins when as many snapshots as it has predecessors
        /// were published, and has its last file only after the next publication; so every boot
        /// spans a publication.
        private final class Hall: Sendable {
            private struct Machine {
                let number: Int
                let began: String
                var got: [String] = []

                var host: String { "127.9.\(number / 250).\(number % 250 + 1)" }
                var batch: Int { number / Hall.batchCount }
            }

            private struct State {
                /// The number of clients that have come, and that have their first file.
                var comeCount = 0
                var begunCount = 0
                var publicationCount = 0
                var done: [[String]] = []
                var switchedCount = 0
                var hasFailed = false
            }

            static let machineCount = 1000
            static let batchCount = 48
            static let publicationCount = 20
            private let server: TestServer
            private let state = Mutex(State())

            init(_ server: TestServer) { self.server = server }

            var boots: [[String]] { state.withLock { $0.done } }
            var switchedCount: Int { state.withLock { $0.switchedCount } }

            /// Waits until this number of clients have their first file, or one fails.
            func wait(untilBegun count: Int) {
                while state.withLock({ $0.begunCount < count && !$0.hasFailed }) { usleep(500) }
            }

            func notePublication() { state.withLock { $0.publicationCount += 1 } }

            /// Boots machines until all have booted, each time a step of any of some that may go
            /// on.
            func work(seed: UInt64) throws {
                var random = seed
                var machines: [Machine] = []
                while true {
                    while machines.count < 24, let machine = come() { machines.append(machine) }
                    let ready = machines.indices.filter { mayGoOn(machines[$0]) }
                    guard !ready.isEmpty else {
                        if machines.isEmpty && isOver { return }
                        usleep(500)
                        continue
                    }
                    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    let index = ready[Int(random >> 33) % ready.count]
                    try step(&machines[index])
                    if machines[index].got.count == SnapshotServeTests.names.count {
                        end(machines.remove(at: index))
                    }
                }
            }

            private var isOver: Bool {
                state.withLock { $0.comeCount == Hall.machineCount || $0.hasFailed }
            }

            private func come() -> Machine? {
                let current = current
                return state.withLock { state in
                    guard state.comeCount < Hall.machineCount, !state.hasFailed,
                        state.comeCount / Hall.batchCount <= state.publicationCount
                    else { return nil }
                    defer { state.comeCount += 1 }
                    return Machine(number: state.comeCount, began: current)
                }
            }

            private func mayGoOn(_ machine: Machine) -> Bool {
                let isLast = machine.got.count == SnapshotServeTests.names.count - 1
                let wanted = min(machine.batch + 1, Hall.publicationCount)
                return state.withLock { !isLast || $0.publicationCount >= wanted || $0.hasFailed }
            }

            private func step(_ machine: inout Machine) throws {
                let file = SnapshotServeTests.names[machine.got.count]
                let snapshot = try SnapshotServeTests.get(file, at: machine.host, server)
                machine.got.append(snapshot ?? "broken \(file)")
                let isFirst = machine.got.count == 1
                state.withLock { state in
                    if isFirst { state.begunCount += 1 }
                    if snapshot == nil { state.hasFailed = true }
                }
            }

            private func end(_ machine: Machine) {
                let isSwitched = current != machine.began
                state.withLock { state in
                    state.done.append(machine.got)
                    state.switchedCount += isSwitched ? 1 : 0
                }
            }

            private var current: String {
                let path = server.scratch.path("current")
                return (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) ?? ""
            }
        }
    }
}
