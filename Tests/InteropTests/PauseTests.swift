import Foundation
import Loopback
import TFTPCore
import Testing

extension InteropTests {
    /// A server that was stopped (SIGSTOP, a suspended machine) goes on where it was.
    struct Pauses {
        /// Five seconds are beyond every time-out; a minute with `BOOTSTORM_PAUSE_SECONDS=60`.
        private static let seconds =
            ProcessInfo.processInfo.environment["BOOTSTORM_PAUSE_SECONDS"].flatMap { Int($0) } ?? 5

        /// A client in lockstep. It says nothing more when it has all.
        private struct Reader {
            let socket: LoopbackSocket
            let tid: Endpoint
            private(set) var received: [UInt8] = []
            private(set) var block: UInt16 = 0
            private(set) var isDone = false

            init(_ name: String, from server: Endpoint) throws {
                socket = try LoopbackSocket()
                socket.send([0, 1] + Array("\(name)\0octet\0blksize\0512\0".utf8), to: server)
                let (bytes, source) = try socket.receive()
                guard bytes.starts(with: [0, 6]) else { throw InteropError("no OACK: \(bytes)") }
                tid = source
            }

            func acknowledge() {
                socket.send([0, 4, UInt8(block >> 8), UInt8(block & 0xFF)], to: tid)
            }

            /// Takes the next block, which may have been sent more than once.
            mutating func step() throws {
                acknowledge()
                let deadline = ContinuousClock.now + .seconds(20)
                while ContinuousClock.now < deadline {
                    guard let (bytes, source) = socket.receive(withinMilliseconds: 1000) else {
                        acknowledge()
                        continue
                    }
                    // Sent again before the first ACK had come, where this process was slow.
                    if block == 0, bytes.starts(with: [0, 6]) { continue }
                    guard source == tid, bytes.starts(with: [0, 3]) else {
                        throw InteropError("no DATA: \(bytes.prefix(40))")
                    }
                    guard UInt16(bytes[2]) << 8 | UInt16(bytes[3]) == block &+ 1 else { continue }
                    block &+= 1
                    received += bytes[4...]
                    isDone = bytes.count < 516
                    if isDone { acknowledge() }
                    return
                }
                throw InteropError("the server says nothing after block \(block)")
            }
        }

        @Test func transfersGoOnAfterAPause() async throws {
            try await Bootstorm.serve { server in
                let content = Content.bytes(50_000)
                try server.publish(content, as: "file")
                let address = Endpoint(
                    address: Address(ipv4: 0x7F00_0001), port: server.port)
                var readers = try (0..<3).map { _ in try Reader("file", from: address) }
                // One has just been offered its file, one is in the middle, one misses the end.
                for _ in 0..<40 { try readers[1].step() }
                for _ in 0..<97 { try readers[2].step() }
                server.pause()
                // What arrives meanwhile waits in the socket.
                for reader in readers { reader.acknowledge() }
                let late = try LoopbackSocket()
                late.send([0, 1] + Array("file\0octet\0blksize\0512\0".utf8), to: address)
                try await Task.sleep(for: .seconds(Self.seconds))
                server.resume()
                let (offer, source) = try late.receive()
                #expect(offer.starts(with: [0, 6]))
                // What was offered would keep the server from ending.
                late.send([0, 5, 0, 0] + Array("no\0".utf8), to: source)
                for index in readers.indices {
                    while !readers[index].isDone { try readers[index].step() }
                    let isWhole = Data(readers[index].received) == content
                    #expect(isWhole, "client \(index)")
                }
                var next = try Reader("file", from: address)
                while !next.isDone { try next.step() }
                #expect(Data(next.received) == content)
            }
        }
    }
}
