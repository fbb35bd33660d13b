import Foundation
import Loopback
import Synchronization
import TFTPClient
import TFTPMetrics
import TFTPServer
import Testing

/// Sealed transfers with an attacker on the path.
struct HostileSealTests {
    /// A get and a put through the attacker, both of which have to succeed.
    private func survives(
        byteCount: Int = 300_000, windowsize: UInt16 = 8,
        _ makeRule: @Sendable () -> MiddleMan.Rule,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> UInt64 {
        let forged = Mutex<UInt64>(0)
        try await SealedPair.run { pair in
            let bytes = content(byteCount)
            try pair.folder.publish(bytes, as: "file")
            let options = try pair.options(windowsize: windowsize, patience: .seconds(20))
            try await MiddleMan.stand(before: pair.server, rule: makeRule()) { server, _ in
                let download = try await pair.client.get("file", from: server, options: options)
                #expect(download.bytes == bytes, sourceLocation: sourceLocation)
            }
            try await MiddleMan.stand(before: pair.server, rule: makeRule()) { server, _ in
                _ = try await pair.client.put(bytes, as: "copy", to: server, options: options)
                #expect(pair.folder.published("copy") == bytes, sourceLocation: sourceLocation)
            }
            forged.withLock { $0 = pair.served.host.counter(.datagramsForged) }
        }
        return forged.withLock { $0 }
    }

    // MARK: Packets that are not what their sender wrote

    /// Every packet comes with one bit wrong before it comes right: in the header, the content and
    /// the tag in turn.
    @Test func bitFlips() async throws {
        let forged = try await survives {
            let count = Mutex(0)
            return { way, bytes in
                let number = count.withLock { count in
                    count += 1
                    return count
                }
                // The request has nothing else: a wrong one is another one, and refused.
                guard bytes.opcode > 2 else { return [(way, bytes)] }
                var changed = bytes
                let bit = number * 131 % (bytes.count * 8)
                changed[bit / 8] ^= 1 << UInt8(bit % 8)
                return [(way, changed), (way, bytes)]
            }
        }
        #expect(forged > 100)
    }

    /// With every packet an earlier one comes again, from either end.
    @Test func replays() async throws {
        _ = try await survives {
            let past = Mutex<[(MiddleMan.Way, [UInt8])]>([])
            return { way, bytes in
                let again = past.withLock { past in
                    defer { past.append((way, bytes)) }
                    return past.isEmpty ? nil : past[past.count * 7919 % past.count]
                }
                let late = past.withLock { $0[$0.count / 2] }
                return [(way, bytes), late] + (again.map { [$0] } ?? [])
            }
        }
    }

    /// Payloads of neighbours change places, at first.
    @Test func swappedBlocks() async throws {
        _ = try await survives {
            let state = Mutex<(kept: [UInt8]?, done: Set<Int>)>((nil, []))
            return { way, bytes in
                guard bytes.opcode == 3 else { return [(way, bytes)] }
                return state.withLock { state in
                    guard state.done.insert(bytes.block).inserted else { return [(way, bytes)] }
                    guard let kept = state.kept else {
                        state.kept = bytes
                        return []
                    }
                    state.kept = nil
                    return [
                        (way, Array(kept[..<4] + bytes[4...])),
                        (way, Array(bytes[..<4] + kept[4...])),
                    ]
                }
            }
        }
    }

    /// A client that sees nothing of what was truly sent behind block 5 does not take what it has
    /// for the file.
    @Test func truncation() async throws {
        try await SealedPair.run { pair in
            let bytes = content(100_000)
            try pair.folder.publish(bytes, as: "file")
            let options = try pair.options(windowsize: 4, patience: .seconds(2))
            let rule: MiddleMan.Rule = { way, bytes in
                guard bytes.opcode == 3, bytes.block >= 5 else { return [(way, bytes)] }
                // The 5th block cut short, an empty one, and one that has a tag's length.
                guard bytes.block == 5 else { return [] }
                return [4, 20, 600, bytes.count - 1].map { (way, Array(bytes[..<$0])) }
            }
            try await MiddleMan.stand(before: pair.server, rule: rule) { server, _ in
                await #expect(throws: TFTPClient.Failure.self) {
                    try await pair.client.get("file", from: server, options: options)
                }
                await #expect(throws: TFTPClient.Failure.self) {
                    try await pair.client.put(bytes, as: "copy", to: server, options: options)
                }
            }
            #expect(pair.folder.published("copy") == nil)
        }
    }

    /// ACKs that ask for more, or say that all is well, and ERRORs that end it: without a tag, with
    /// a wrong one, with another packet's.
    @Test func forgedACKsAndERRORs() async throws {
        let forged = try await survives {
            { way, bytes in
                let other: MiddleMan.Way = way == .up ? .down : .up
                switch bytes.opcode {
                case 3:
                    let zeros = [UInt8](repeating: 0, count: 16)
                    let tag = Array(bytes.suffix(16))
                    return [
                        (other, .ack(bytes.block)), (other, .ack(bytes.block, tag: zeros)),
                        (other, .ack(bytes.block, tag: tag)), (other, .error(3, "full")),
                        (way, .error(0, "bye")),
                        (way, .error(0, "sealed AAAAAAAAAAAAAAAAAAAAAAAA")),
                        (way, bytes),
                    ]
                case 4:
                    let tag = Array(bytes.suffix(16))
                    return [
                        (way, .ack(bytes.block + 1, tag: tag)), (way, .error(5, "who?")),
                        (way, bytes),
                    ]
                // Before there are keys, an ERROR is taken for true when nothing better comes.
                case 6: return [(way, .error(2, "no")), (way, bytes)]
                default: return [(way, bytes)]
                }
            }
        }
        #expect(forged > 100)
    }

    /// Plain requests from a client's own port do not end what it has running.
    @Test func aForgedRequestReplacesNothing() async throws {
        _ = try await survives {
            { way, bytes in
                guard way == .up, bytes.opcode == 4 || bytes.opcode == 3 else {
                    return [(way, bytes)]
                }
                return [(.ask, Array("\0\u{1}other\0octet\0".utf8)), (way, bytes)]
            }
        }
    }

    /// The same while the server opens the request.
    @Test func aForgedRequestAtTheBeginning() async throws {
        _ = try await survives {
            { way, bytes in
                guard way == .up, bytes.opcode <= 2 else { return [(way, bytes)] }
                return [(way, bytes), (.ask, Array("\0\u{1}other\0octet\0".utf8))]
            }
        }
    }

    /// An unauthenticated ICMP error ends nothing before the answer has had its time: an attacker
    /// may have sent it.
    @Test func aClosedPort() async throws {
        try await ScriptedServer.run { server in
            server.listener.leavePort()
        } body: { server in
            let client = try TFTPClient()
            var options = TFTPClient.Options()
            options.sealKeys = try TFTPClient.SealKeys(keyLines(["k1"]))
            let asked = options
            await #expect(throws: TFTPClient.Failure.unreachable(.request)) {
                try await client.get("file", from: server, options: asked)
            }
        }
    }

    // MARK: The past

    /// What a client asks with.
    private func record(_ pair: SealedPair) async throws -> [UInt8] {
        var request: [UInt8] = []
        try await MiddleMan.stand(before: pair.server) { server, man in
            _ = try await pair.client.get("file", from: server, options: try pair.options())
            request = try #require(man.capture.first).bytes
        }
        return request
    }

    /// What answers `packet` with an OACK, and from where. A transfer that it began earlier may
    /// have to end first.
    private func offer(
        of packet: [UInt8], to socket: UDPSocket, by server: TFTPClient.Server,
        except known: [UInt8] = []
    ) -> [UInt8]? {
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = server.port.bigEndian
        inet_pton(AF_INET, "127.0.0.1", &target.sin_addr)
        for _ in 0..<50 {
            socket.send(packet, to: target)
            while let (bytes, _) = socket.receive(milliseconds: 100) {
                if bytes.opcode == 6 && bytes != known { return bytes }
            }
        }
        return nil
    }

    /// A replay of an older request does not keep the client out.
    @Test func aReplayDoesNotKeepTheClientOut() async throws {
        try await SealedPair.run { pair in
            try pair.folder.publish(content(5000), as: "file")
            let (old, new) = (try await record(pair), try await record(pair))
            let socket = try UDPSocket()
            let first = try #require(offer(of: old, to: socket, by: pair.server))
            #expect(offer(of: new, to: socket, by: pair.server, except: first) != nil)
        }
    }

    /// One request has one transfer at a time, wherever its copies come from.
    @Test func aCopyOfARequestIsNotAnswered() async throws {
        try await SealedPair.run { pair in
            try pair.folder.publish(content(5000), as: "file")
            let request = try await record(pair)
            let socket = try UDPSocket()
            _ = try #require(offer(of: request, to: socket, by: pair.server))
            let answers = try replay([request], at: pair.server)
            #expect(!answers.isEmpty)
            #expect(answers.allSatisfy { $0.opcode == 5 })
        }
    }

    /// An attacker that has recorded a transfer can neither get DATA of the server nor make a file
    /// there.
    @Test func aRecordedTransferIsWorthNothing() async throws {
        try await SealedPair.run { pair in
            let bytes = content(50_000)
            try pair.folder.publish(bytes, as: "file")
            for isPut in [false, true] {
                var recorded: [[UInt8]] = []
                try await MiddleMan.stand(before: pair.server) { server, man in
                    let options = try pair.options(windowsize: 4)
                    if isPut {
                        _ = try await pair.client.put(
                            bytes, as: "copy", to: server, options: options)
                    } else {
                        _ = try await pair.client.get("file", from: server, options: options)
                    }
                    recorded = man.capture.filter { $0.way == .up }.map(\.bytes)
                }
                try FileManager.default.contentsOfDirectory(atPath: pair.folder.root)
                    .filter { $0 == "copy" }
                    .forEach {
                        try FileManager.default.removeItem(atPath: "\(pair.folder.root)/\($0)")
                    }
                let answers = try replay(recorded, at: pair.server)
                #expect(!answers.isEmpty)
                #expect(answers.allSatisfy { $0.opcode == 6 || $0.opcode == 5 })
                #expect(pair.folder.published("copy") == nil)
            }
        }
    }

    /// Sends what a client has sent once, and returns what comes back.
    private func replay(_ packets: [[UInt8]], at server: TFTPClient.Server) throws -> [[UInt8]] {
        let socket = try UDPSocket()
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = server.port.bigEndian
        inet_pton(AF_INET, "127.0.0.1", &target.sin_addr)
        var answers: [[UInt8]] = []
        for (index, packet) in packets.enumerated() {
            socket.send(packet, to: target)
            let patience = index == 0 ? 2_000 : 2
            while let (bytes, source) = socket.receive(milliseconds: patience) {
                answers.append(bytes)
                target = source
                if index == 0 { break }
            }
        }
        while let (bytes, _) = socket.receive(milliseconds: 100) { answers.append(bytes) }
        return answers
    }

    // MARK: Going without

    /// The attacker removes the seal from the request, or from the OACK.
    @Test(arguments: [1, 2, 6] as [UInt8], [false, true])
    func downgrades(opcode: UInt8, isRequired: Bool) async throws {
        try await SealedPair.run(requires: isRequired ? [.all] : []) { pair in
            // So that an unencrypted transfer would find a file.
            try pair.folder.publish([1], as: "sealed")
            try pair.folder.publish([2], as: "file")
            let rule: MiddleMan.Rule = { way, bytes in
                guard bytes.opcode == opcode, let stripped = Self.strip(bytes) else {
                    return [(way, bytes)]
                }
                return [(way, stripped)]
            }
            try await MiddleMan.stand(before: pair.server, rule: rule) { server, _ in
                let options = try pair.options(patience: .seconds(20))
                let error = await #expect(throws: TFTPClient.Failure.self) {
                    if opcode == 2 {
                        _ = try await pair.client.put(
                            [9, 9], as: "file", to: server, options: options)
                    } else {
                        _ = try await pair.client.get("file", from: server, options: options)
                    }
                }
                if isRequired && opcode != 6 {
                    guard case .sealRefused(code: 2, _) = error else {
                        Issue.record("\(String(describing: error))")
                        return
                    }
                } else {
                    #expect(error == .notSealed)
                }
            }
            #expect(pair.folder.published("sealed") == [1])
            #expect(pair.folder.published("file") == [2])
        }
    }

    private static func strip(_ packet: [UInt8]) -> [UInt8]? {
        guard let range = Data(packet).range(of: Data("seal\0".utf8)), range.lowerBound > 0,
            packet[range.lowerBound - 1] == 0
        else { return nil }
        return Array(packet[..<range.lowerBound])
    }

    // MARK: What can be heard

    /// A listener on the path finds neither 16 bytes of the file in the packets nor its name.
    @Test(arguments: [false, true])
    func nothingIsSaidInThePlain(isPut: Bool) async throws {
        try await SealedPair.run { pair in
            let bytes = content(200_000)
            try pair.folder.publish(bytes, as: "quite-secret-name")
            try await MiddleMan.stand(before: pair.server) { server, man in
                let options = try pair.options()
                if isPut {
                    _ = try await pair.client.put(
                        bytes, as: "quite-secret-name", to: server, options: options)
                } else {
                    let download = try await pair.client.get(
                        "quite-secret-name", from: server, options: options)
                    #expect(download.bytes == bytes)
                }
                let capture = man.capture.map(\.bytes)
                #expect(capture.reduce(0) { $0 + $1.count } > bytes.count)
                #expect(!Self.hasWords(of: bytes, capture))
                #expect(
                    Self.hasWords(of: bytes, [[9, 9, 9] + bytes[100..<132]]),
                    "else the test cannot fail"
                )
                #expect(!capture.contains { Data($0).range(of: Data("secret".utf8)) != nil })
            }
        }
    }

    /// Whether 16 bytes in a row of `content` stand anywhere in `packets`: then one of its words of
    /// 8 does.
    private static func hasWords(of content: [UInt8], _ packets: [[UInt8]]) -> Bool {
        func word(_ bytes: some Collection<UInt8>) -> UInt64 {
            bytes.reduce(0) { $0 << 8 | UInt64($1) }
        }
        let words = Set(
            stride(from: 0, through: content.count - 8, by: 8).map { word(content[$0..<($0 + 8)]) })
        return packets.contains { packet in
            var rolling: UInt64 = 0
            for (index, byte) in packet.enumerated() {
                rolling = rolling << 8 | UInt64(byte)
                if index >= 7, words.contains(rolling) { return true }
            }
            return false
        }
    }
}
