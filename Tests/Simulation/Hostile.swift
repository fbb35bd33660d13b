import TFTPCore
import TFTPWire

/// What an attacker on the network sends.
package struct HostileAct: Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        /// One request of a forged address, again and again.
        case repeatedRequest
        /// Requests of many forged addresses at once.
        case flood
        /// Requests of addresses that reach a crowd.
        case broadcast
        /// What the server's own listener might have sent.
        case ownSocket
        /// ERRORs, whole and malformed.
        case errors
        /// A sealed request that is being opened, then a plain one and another sealed one from the
        /// same port.
        case sealed
        /// Requests of port 0.
        case portZero
        /// Requests without a name, with many options, of a long name; and packets that begin
        /// nothing.
        case odd

        /// Those that each seed has drawn from the beginning; the others are drawn apart.
        static let drawn: [Kind] = [
            .repeatedRequest, .flood, .broadcast, .ownSocket, .errors, .sealed,
        ]
    }

    var kind: Kind
    var time: UInt64
    var source: Endpoint
    var bytes: [UInt8]
}

extension HostileAct {
    static let floodCount = 70
    static let sealedSource = Endpoint(address: Address(ipv4: 0x0A08_0000), port: 4004)

    /// The datagrams of one kind, with their times after the beginning.
    static func all(of kind: Kind) -> [HostileAct] {
        let here = Endpoint(address: Address(ipv4: 0x0A08_0000), port: 4000)
        let request = request("0", options: Options())
        func act(_ milliseconds: UInt64, _ source: Endpoint, _ bytes: [UInt8]) -> HostileAct {
            HostileAct(kind: kind, time: milliseconds * 1_000_000, source: source, bytes: bytes)
        }
        switch kind {
        case .repeatedRequest:
            return (0..<40).map { act(UInt64($0) * 100, here, request) }
        case .flood:
            return (0..<floodCount).map {
                act(
                    0, Endpoint(address: Address(ipv4: 0x0A08_0100 + UInt32($0)), port: 4001),
                    request)
            }
        case .broadcast:
            return [0xFFFF_FFFF, 0xE000_0001].map {
                act(1, Endpoint(address: Address(ipv4: $0), port: 4002), request)
            }
        case .ownSocket:
            return [
                act(2, Environment.serverEndpoint, request),
                act(3, Environment.serverEndpoint, [9]),
            ]
        case .errors:
            return [[0, 5, 0, 1, 0], [0, 5, 0], [0, 5]].map {
                act(4, Endpoint(address: here.address, port: 4003), $0)
            }
        case .portZero:
            return [request, [9], [0, 4, 0, 0]].map {
                act(5, Endpoint(address: here.address, port: 0), $0)
            }
        case .odd:
            return oddDatagrams.enumerated().map { number, bytes in
                act(
                    6, Endpoint(address: here.address, port: 4100 + UInt16(number)), bytes)
            }
        case .sealed:
            return [
                act(0, sealedSource, sealedRequest(1)), act(100, sealedSource, request),
                act(200, sealedSource, sealedRequest(2)),
            ]
        }
    }

    private static func request(_ name: String, options: Options) -> [UInt8] {
        .request(ClientTask(opcode: .rrq, name: name, content: [], options: options))
    }

    private static var oddDatagrams: [[UInt8]] {
        let end = Array("octet".utf8) + [0]
        let options: [UInt8] = (0..<60).flatMap { Array("x\($0)".utf8) + [0, 0x31, 0] }
        let word: [UInt8] = [0x30, 0]
        let longName = [UInt8](repeating: 0x61, count: 1200) + [0]
        let requests: [[UInt8]] = [
            [0, 1, 0] + end, [0, 1] + word + end + options, [0, 2, 0] + end,
            [0, 1] + longName + end,
        ]
        return requests + [
            [0, 3, 0, 1, 7], [0, 4, 0, 1], [0, 6] + options, [0, 1] + word, [], [0],
        ]
    }

    private static func sealedRequest(_ number: UInt8) -> [UInt8] {
        request("0", options: Options()) + Array("seal".utf8) + [0, 0x61 + number, 0]
    }
}

/// What the checker needs to know of attackers.
struct HostileBook {
    /// Endpoints that the server must not answer at all.
    private var unanswerable: Set<Endpoint> = []
    /// By forged address: bytes of the first request, and what the server sent.
    private var forged: [Endpoint: (requestByteCount: Int, count: Int, byteCount: Int)] = [:]
    private(set) var sealedAskedCount = 0
    private(set) var floodedAt: UInt64?

    mutating func note(_ act: HostileAct, now: UInt64) {
        switch act.kind {
        case .broadcast, .ownSocket, .errors, .portZero: unanswerable.insert(act.source)
        case .flood, .repeatedRequest, .odd:
            if act.kind == .flood { floodedAt = now }
            if forged[act.source] == nil { forged[act.source] = (act.bytes.count, 0, 0) }
        case .sealed: break
        }
    }

    /// The server starts again, and knows nothing of them.
    mutating func noteRestart() {
        for source in forged.keys { forged[source]?.count = 0; forged[source]?.byteCount = 0 }
    }

    mutating func noteSealedAsked() { sealedAskedCount += 1 }

    /// What is wrong with this packet of the server's, or nil.
    mutating func judge(_ datagram: Datagram) -> String? {
        if unanswerable.contains(datagram.target) {
            return "the server answered what must not be answered"
        }
        // ERRORs are bounded by network.
        let isError = datagram.bytes.starts(with: [0, 5])
        guard !isError, var state = forged[datagram.target] else { return nil }
        state.count += 1
        state.byteCount += datagram.bytes.count
        forged[datagram.target] = state
        guard state.count <= 3, state.byteCount <= 3 * state.requestByteCount + 516 else {
            return "a client that proved nothing was sent \(state.byteCount) bytes"
        }
        return nil
    }
}
