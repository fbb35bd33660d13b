import Foundation
import Testing

extension ServerTests {
    /// Nothing outside of the root is ever served or written, by any spelling, symlink or race.
    struct NameTests {
        /// What stands in the root of these tests.
        static func prepare(_ scratch: Scratch) throws {
            try scratch.write("file", Array("inside".utf8))
            try scratch.makeFolder("folder/deep")
            try scratch.write("folder/file", Array("deeper".utf8))
            try scratch.write("..file", Array("dots".utf8))
            try scratch.link("link", to: "file")
            try scratch.link("folder/link", to: "../file")
            try scratch.link("out", to: "../outside/secret")
            try scratch.link("absolute", to: scratch.outside + "/secret")
            try scratch.link("absolute-inside", to: scratch.path("file"))
            try scratch.link("out-folder", to: "../outside")
            try scratch.link("up", to: "..")
            try scratch.link("folder/up", to: "../..")
            try scratch.link("loop", to: "loop")
            try scratch.link("magic", to: "/proc/self/root")
            try scratch.link("dangling", to: "nowhere")
            mkfifo(scratch.path("fifo"), 0o666)
        }

        static let served: [(String, String)] = [
            ("file", "inside"), ("/file", "inside"), ("//file", "inside"), ("./file", "inside"),
            ("\\file", "inside"), ("C:\\file", "inside"), ("c:/file", "inside"),
            ("/C:/file", "inside"), ("folder//file", "deeper"), ("folder\\file", "deeper"),
            ("folder/./file", "deeper"), ("folder/deep/../file", "deeper"),
            ("folder/../file", "inside"), ("link", "inside"), ("folder/link", "inside"),
            ("..file", "dots"),
        ]

        static let missing = [
            "missing", "folder/missing", "missing/file", "missing/../file", "file/x", "file/..",
            "FILE", "dangling", "file\u{7F}x", String(repeating: "x", count: 300),
            String(repeating: "y/", count: 230) + "z",
        ]

        static let forbidden = [
            "../outside/secret", "/../outside/secret", "..\\outside\\secret",
            "..\\..\\outside\\secret", "../root/file",
            "folder/../../outside/secret", "folder/deep/../../../outside/secret",
            "./../outside/secret", "C:\\..\\outside\\secret", "/../../../../etc/passwd",
            "../etc/passwd", "..", "../", "../missing", "../../../../../../../etc/shadow",
            "out", "absolute", "out-folder/secret", "out-folder/missing",
            "up/outside/secret", "folder/up/outside/secret", "up/root/file", "loop",
            "magic/etc/passwd", "folder", "folder/", "folder/deep", "file/", "/", ".", "",
            "out-folder", "fifo", ".bootstorm-upload-1", "folder/.BOOTSTORM-upload-1/x",
        ]

        @Test func everySpelling() async throws {
            try await TestServer.serve(Self.prepare) { server in
                for (name, text) in Self.served {
                    let got = try server.get(name)
                    #expect(got.bytes == Array(text.utf8), "\(name)")
                }
                for name in Self.missing {
                    #expect(try server.get(name).state == .refused(1, "File not found"), "\(name)")
                }
                // The same words for all of it: nothing tells what exists there.
                for name in Self.forbidden {
                    let state = try server.get(name).state
                    #expect(state == .refused(2, "Access violation"), "\(name)")
                }
                // An absolute name is one in the root: nothing is there.
                #expect(try server.get("/etc/passwd").state == .refused(1, "File not found"))
                #expect(try server.get("file").bytes == Array("inside".utf8))
            }
        }

        /// A way out through a folder that is not there says nothing on what is outside.
        @Test func aWayOutThroughNothing() async throws {
            try await TestServer.serve(Self.prepare) { server in
                let there = try server.get("a/../../outside/secret").state
                let notThere = try server.get("a/../../outside/missing").state
                #expect(there == notThere)
                guard case .refused(let code, _) = there else {
                    Issue.record("served")
                    return
                }
                #expect(code == 1 || code == 2)
            }
        }

        /// Some firmware puts 0xFF behind the name (the end of a DHCP option).
        @Test func junkBehindTheName() async throws {
            try await TestServer.serve {
                try Self.prepare($0)
                try $0.write("grüße", [1])
            } body: { server in
                for junk: [UInt8] in [[0xFF], [0xFF, 0xFF], [0x01], [0xFF, 0x0D]] {
                    let got = try Client(server.endpoint).run(
                        Download(request: Message.request(1, Array("file".utf8) + junk)))
                    #expect(got.bytes == Array("inside".utf8))
                    let out = try Client(server.endpoint).run(
                        Download(
                            request: Message.request(1, Array("../outside/secret".utf8) + junk)))
                    #expect(out.state == .refused(2, "Access violation"))
                }
                #expect(try server.get("grüße").bytes == [1])
            }
        }

        /// Opening a FIFO waits for a writer, opening some devices does things: neither is opened.
        @Test func whatIsNoFileIsNotOpened() async throws {
            try await TestServer.serve(Self.prepare) { server in
                // Like /dev/zero; only root may make one.
                let zero = dev_t(1 << 8 | 5)
                let hasDevice = mknod(server.scratch.path("device"), S_IFCHR | 0o666, zero) == 0
                for name in hasDevice ? ["fifo", "device"] : ["fifo"] {
                    let answer = try Client.ask(
                        Message.read(name), server.endpoint, within: .seconds(2))
                    #expect(answer == .error(2, "Access violation"), "\(name)")
                }
                // Had the server it open, a writer that does not wait would get in.
                let file = open(server.scratch.path("fifo"), O_WRONLY | O_NONBLOCK | O_CLOEXEC)
                #expect(file == -1 && errno == ENXIO)
                #expect(try server.get("file").bytes == Array("inside".utf8))
            }
        }

        @Test func nothingIsWrittenOutside() async throws {
            try await TestServer.serve(Self.prepare) {
                $0.upload = .overwrite
            } body: { server in
                let before = server.scratch.outsiders()
                let names =
                    Self.forbidden + [
                        "../new", "..\\new", "/../new", "up/new", "out-folder/new",
                        "folder/../../new",
                        "folder/..", "magic/tmp/new",
                    ]
                for name in names {
                    // The only symlink here that an upload may take the place of is none that leads
                    // out.
                    let state = try server.put(name, [1, 2, 3]).state
                    #expect(state == .refused(2, "Access violation"), "\(name)")
                }
                #expect(server.scratch.outsiders() == before)
                #expect(server.scratch.read("file") == Array("inside".utf8))
            }
        }

        /// A symlink that leads now inside and now outside, while clients read through it.
        @Test func aSymlinkThatRaces() async throws {
            try await TestServer.serve {
                try Self.prepare($0)
                try $0.makeFolder("inside")
                try $0.write("inside/secret", Array("inside".utf8))
            } body: { server in
                let flipper = Flipper(
                    server.scratch, name: "race", targets: ["inside", "../outside"])
                var servedCount = 0
                var refusedCount = 0
                for _ in 0..<400 {
                    let got = try server.get("race/secret")
                    switch got.state {
                    case .done:
                        #expect(got.bytes == Array("inside".utf8))
                        servedCount += 1
                    case .refused(let code, _):
                        #expect([0, 1, 2].contains(code))
                        refusedCount += 1
                    case .running, .broken: Issue.record("\(got.state)")
                    }
                }
                flipper.stop()
                // Otherwise there was no race.
                #expect(servedCount > 0 && refusedCount > 0)
                #expect(flipper.count > 100)
            }
        }

        @Test func aSymlinkThatRacesWithUploads() async throws {
            try await TestServer.serve {
                try Self.prepare($0)
                try $0.makeFolder("inside")
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                let before = server.scratch.outsiders()
                let flipper = Flipper(
                    server.scratch, name: "race", targets: ["inside", "../outside"])
                var doneCount = 0
                for number in 0..<200
                where try server.put("race/new", [UInt8(number)]).state == .done {
                    doneCount += 1
                }
                flipper.stop()
                #expect(doneCount > 0)
                #expect(server.scratch.outsiders() == before)
                #expect(server.scratch.list().contains("inside/new"))
            }
        }

        /// Puts a symlink now on one and now on another target, from a thread of its own.
        private final class Flipper: @unchecked Sendable {
            private let lock = NSLock()
            private var isStopping = false
            private(set) var count = 0
            private let done = DispatchSemaphore(value: 0)

            init(_ scratch: Scratch, name: String, targets: [String]) {
                let path = scratch.path(name)
                symlink(targets[0], path)
                DispatchQueue(label: "flipper").async { [self] in
                    while !lock.withLock({ isStopping }) {
                        count += 1
                        unlink(path + ".new")
                        symlink(targets[count % targets.count], path + ".new")
                        rename(path + ".new", path)
                    }
                    done.signal()
                }
            }

            /// Waits for the end; `count` is quiet from then on.
            func stop() {
                lock.withLock { isStopping = true }
                done.wait()
            }
        }
    }
}
