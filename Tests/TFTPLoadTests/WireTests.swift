import Foundation
import Loopback
import Synchronization
import TFTPCore
import TFTPWire
import Testing

@testable import TFTPLoad

/// The datagrams of each kind as they come out of a socket, not as the machine means them.
@Suite(.enabled(if: RelayHost.canRun, "io_uring is switched off here"), .serialized)
struct WireTests {
    /// Milliseconds until a request is sent again.
    static let firstPeriods: [ClientKind: Int] = [
        .ipxe: 250, .grub: 400, .pxelinux: 109, .uboot: 5000, .ubootLwIP: 1000, .edk2: 4000,
        .curl: 6000, .busybox: 100, .barebox: 1000, .rpi: 1000, .windows: 1000, .hpa: 5000,
        .plain: 1000,
    ]

    /// Goal: each kind asks in its own words and asks again in time, the same from the same port.
    /// Method: a server that says nothing, all kinds at once.
    @Test func requestsAreRepeatedAsTheyWere() async throws {
        try await withThrowingTaskGroup { group in
            for kind in ClientKind.allCases {
                group.addTask { (kind, try await Recorder.record(kind, count: 2) { _ in nil }) }
            }
            for try await (kind, packets) in group { check(kind, packets) }
        }
    }

    private func check(_ kind: ClientKind, _ packets: [Recorder.Packet]) {
        guard packets.count == 2, let period = WireTests.firstPeriods[kind] else {
            Issue.record("\(kind): \(packets.map(\.text))")
            return
        }
        #expect(packets[0].text == "RRQ " + kind.requestTexts[0])
        #expect(packets[1].bytes == packets[0].bytes, "\(kind)")
        #expect(packets[1].source == packets[0].source, "\(kind)")
        let gap = packets[1].at - packets[0].at
        // A packet is looked at a little late, either of them.
        #expect(gap > .milliseconds(period - 50), "\(kind): \(gap)")
        #expect(gap < .milliseconds(period + 2000), "\(kind): \(gap)")
    }

    /// What a whole boot says, where a plus means: from another port than the packet before.
    private static let boots: [ClientKind: [String]] = [
        .ipxe: ["RRQ 0", "ACK 0", "ACK 1"], .grub: ["RRQ 0", "ACK 0", "ACK 1"],
        .pxelinux: ["RRQ 0", "ACK 0", "ACK 1", "ERROR 0 No error, file close"],
        .uboot: ["RRQ 0", "ACK 0", "ACK 1"], .ubootLwIP: ["RRQ 0", "ACK 0", "ACK 1"],
        .edk2: ["RRQ 0", "ERROR 8 User aborted the transfer", "+RRQ 1", "ACK 0", "ACK 1"],
        .curl: ["RRQ 0", "ACK 0", "ACK 1"], .busybox: ["RRQ 0", "ACK 0", "ACK 1"],
        .barebox: ["RRQ 0", "ACK 0", "ERROR 0 ", "+RRQ 1", "ACK 0", "ACK 1"],
        .rpi: ["RRQ 0", "+RRQ 1", "ERROR 0 Early terminate", "+RRQ 2", "ACK 0", "ACK 1"],
        .windows: ["RRQ 0", "ERROR 0 TFTP Aborted", "+RRQ 1", "ACK 0 [4]", "ACK 1 [4]"],
        .hpa: ["RRQ 0", "ACK 1"], .plain: ["RRQ 0", "ACK 1"],
    ]

    /// Goal: probes, closings, new ports and the length of ACKs, in order. Method: a server that
    /// grants what is asked, and has nothing beneath a serial number.
    @Test(arguments: ClientKind.allCases)
    func wholeBoots(kind: ClientKind) async throws {
        let packets = try await Recorder.record(kind, count: nil, answer: Recorder.grant)
        var source = packets.first?.source
        var texts: [String] = []
        for packet in packets {
            texts.append((packet.source == source ? "" : "+") + packet.text)
            source = packet.source
        }
        let wanted = WireTests.boots[kind]?.map { line in
            guard let stage = line.last?.wholeNumberValue, line.contains("RRQ") else { return line }
            return line.dropLast() + kind.requestTexts[stage]
        }
        #expect(texts == wanted)
    }
}

extension ClientKind {
    /// The requests of machine 0 in a storm, where the mode must not translate.
    fileprivate var requestTexts: [String] {
        let texts = RequestTests.requests.first { $0.0 == self }?.1 ?? []
        return texts.map {
            $0.replacing("00000005/", with: "00000000/").replacing("|netascii|", with: "|octet|")
        }
    }
}

/// A socket in a server's place, and a storm of one machine against it.
private enum Recorder {
    struct Packet: Sendable {
        var bytes: [UInt8]
        var source: Endpoint
        var at: ContinuousClock.Instant

        var text: String {
            switch bytes[1] {
            case 1: "RRQ " + bytes.wireText
            case 4: "ACK \(number)" + (bytes.count > 4 ? " \(bytes[4...].map(Int.init))" : "")
            case 5: "ERROR \(number) " + String(decoding: bytes[4...].dropLast(), as: UTF8.self)
            default: "\(bytes)"
            }
        }

        var number: Int { Int(bytes[2]) << 8 | Int(bytes[3]) }
    }

    static let content = Array("abc".utf8)

    /// Records what one machine sends: `count` packets, or all of one boot. `answer` says what
    /// comes back.
    static func record(
        _ kind: ClientKind, count: Int?,
        answer: @escaping @Sendable (Packet) -> [UInt8]?
    ) async throws -> [Packet] {
        let socket = try LoopbackSocket()
        var configuration = StormConfiguration(server: socket.endpoint)
        configuration.files = [.init(name: "boot/a", weight: 1, reference: Reference(content))]
        configuration.clients = [.init(kind: kind, share: 1)]
        configuration.machineCount = 1
        configuration.ending = .transfers(1)
        let storm = Storm(configuration)
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try record(storm, socket, count, answer) })
            }
        }
    }

    private static func record(
        _ storm: Storm, _ socket: LoopbackSocket, _ count: Int?, _ answer: (Packet) -> [UInt8]?
    ) throws -> [Packet] {
        let outcome = Mutex<Result<StormReport, StormError>?>(nil)
        let running = Thread { outcome.withLock { $0 = Result(catching: storm.run) } }
        running.start()
        defer {
            storm.interrupt()
            while !running.isFinished { usleep(1000) }
        }
        try answerTheFirst(socket)
        var packets: [Packet] = []
        let deadline = ContinuousClock.now + .seconds(20)
        while packets.count < count ?? .max, ContinuousClock.now < deadline {
            guard let (bytes, source) = socket.receive(withinMilliseconds: 50) else {
                if running.isFinished { break }
                continue
            }
            packets.append(Packet(bytes: bytes, source: source, at: .now))
            if let reply = answer(packets[packets.count - 1]) { socket.send(reply, to: source) }
        }
        return packets
    }

    /// The storm asks whether the file is there, and closes.
    private static func answerTheFirst(_ socket: LoopbackSocket) throws {
        let request = try socket.receive()
        #expect(request.bytes.wireText == "boot/a|octet|tsize|0|")
        socket.send([0, 6] + [UInt8](wire: "tsize|3|"), to: request.source)
        #expect(try socket.receive().bytes.starts(with: [0, 5, 0, 8]))
    }

    /// A good server's answer.
    @Sendable
    static func grant(_ packet: Packet) -> [UInt8]? {
        let data = [0, 3, 0, 1] + content
        switch packet.bytes[1] {
        case 4: return packet.number == 0 ? data : nil
        case 5: return nil
        default: break
        }
        guard let parsed = try? TFTPWire.Packet(parsing: packet.bytes.span.bytes),
            case .request(let request) = parsed
        else { return nil }
        if packet.text.contains("00000000/") { return [0, 5, 0, 1, 0] }
        let options = Options(parsing: request.options)
        guard !options.isEmpty else { return data }
        return [0, 6] + [UInt8](wire: options.granted(tsize: UInt64(content.count)))
    }
}
