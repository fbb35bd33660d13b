import CAllocationCounter
import Foundation
import Testing

extension ServerTests {
    /// A shard's turn allocates nothing once what it serves is in memory.
    ///
    /// The counter sees every allocation of threads named `shard-…`, of all servers in this
    /// process, which is why these suites run one after the other.
    @Suite(
        .enabled(
            if: allocation_counter_works(), "a sanitizer has the heap: there is nothing to count"))
    struct AllocationTests {
        private struct Count {
            var allocations: UInt64
            var frees: UInt64
            var callers: String
        }

        /// What threads with such a name allocate while `body` runs.
        private func counting(
            _ prefix: String = "shard-", _ body: () throws -> Void
        ) rethrows -> Count {
            allocation_counter_start(prefix)
            defer { allocation_counter_stop() }
            try body()
            return Count(
                allocations: allocation_counter_allocations(),
                frees: allocation_counter_frees(), callers: Self.callers)
        }

        /// In a debug build each accessor that yields allocates its frame and frees it when it
        /// returns, so there only the balance is looked at, roughly: frames stand open when the
        /// counting begins and ends, on every thread, those of other suites' servers too. One kept
        /// for each of the thousands of packets would still show. `swift test -c release -Xswiftc
        /// -enable-testing` looks at the number.
        private func expectNothing(
            _ count: Count, sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #if DEBUG
                let difference = Int(count.allocations) - Int(count.frees)
                #expect(
                    abs(difference) <= 1000, "\(count.callers)", sourceLocation: sourceLocation)
            #else
                #expect(
                    count.allocations == 0, "\(count.callers)", sourceLocation: sourceLocation)
            #endif
        }

        private static var callers: String {
            var names: [String] = []
            while let name = allocation_counter_caller(Int32(names.count)) {
                names.append(String(cString: name))
            }
            return names.joined(separator: "\n")
        }

        /// What is not counted on purpose would make the tests below worth nothing. The name is one
        /// that no thread of another suite has.
        @Test func theCounterCounts() async {
            func count(_ name: String) async -> Count {
                await withCheckedContinuation { continuation in
                    let thread = Thread {
                        continuation.resume(
                            returning: counting("canary-") {
                                allocation_counter_canary(name, 100)
                            })
                    }
                    thread.start()
                }
            }
            let counted = await count("canary-x")
            #expect((100...120).contains(counted.allocations))
            #expect((100...120).contains(counted.frees))
            let other = await count("store")
            #expect(other.allocations == 0)
            #expect(other.frees == 0)
        }

        /// Everything between the first DATA and the last: requests and ends are in it as well.
        @Test(arguments: [
            [], [Option.blksize(1468)], [.blksize(1468), .windowsize(16)],
            [.blksize(1468), .windowsize(64), .tsize(0)], [.blksize(65464)],
        ])
        func aWarmFile(options: [Option]) async throws {
            let content = Content.bytes(options.isEmpty ? 1 << 20 : 3 << 20)
            try await TestServer.serve {
                try $0.write("file", content)
            } body: { server in
                #expect(try server.get("file", options).bytes == content)
                #expect(server.wait { server.server.activeTransferCount == 0 })
                var got: Download?
                let count = try counting { got = try server.get("file", options) }
                #expect(got?.bytes == content)
                expectNothing(count)
            }
        }

        @Test func manyClientsAtOnce() async throws {
            let content = Content.bytes(200_000)
            let options: [Option] = [.blksize(1428), .windowsize(8)]
            try await TestServer.serve {
                try $0.write("file", content)
            } configure: {
                $0.shards = 2
            } body: { server in
                let downloads = Array(repeating: Download("file", options), count: 100)
                for _ in 0..<2 {
                    try Swarm(server.endpoint, downloads: downloads).run(limit: .seconds(10))
                }
                let swarm = try Swarm(server.endpoint, downloads: downloads)
                let count = counting { swarm.run(limit: .seconds(10)) }
                #expect(swarm.downloads.allSatisfy { $0.bytes == content })
                expectNothing(count)
            }
        }

        /// Nothing that throws is in it: this test library keeps a backtrace of each error, which
        /// it allocates.
        @Test func netasciiAndMisses() async throws {
            let text = Content.text(100_000)
            try await TestServer.serve {
                try $0.write("text", text)
            } body: { server in
                let options: [Option] = [.blksize(1024), .windowsize(4)]
                _ = try server.get("text", options, mode: "netascii")
                _ = try server.get("missing")
                let count = try counting {
                    _ = try server.get("text", options, mode: "netascii")
                    _ = try server.get("missing")
                    _ = try server.get("../outside/secret")
                    _ = try Client.ask(Message.ack(3).bytes, server.endpoint)
                }
                expectNothing(count)
            }
        }

        /// Uploads copy into chunks that were there from the beginning.
        @Test func anUpload() async throws {
            let content = Content.bytes(1 << 20)
            try await TestServer.serve(configure: { $0.upload = .overwrite }) { server in
                let options: [Option] = [.blksize(1468), .windowsize(8)]
                _ = try server.put("new", content, options)
                var put: Upload?
                let count = try counting { put = try server.put("new", content, options) }
                #expect(put?.state == .done)
                expectNothing(count)
            }
        }
    }
}
