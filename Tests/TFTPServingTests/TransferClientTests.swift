import SystemPackage
import TFTPCore
import TFTPServing
import TFTPWire
import Testing

/// What the client makes of reports of the kernel and of slow content, which the simulator does not
/// have: steps in, effects out.
@Suite struct TransferClientTests {
    static let address = Address(ipv4: 0x0A00_0001)
    static let port69 = Endpoint(address: address, port: 69)
    static let tid = Endpoint(address: address, port: 4000)

    // MARK: Reports

    @Test func aClosedPortEndsARequest() throws {
        var client = Client(.rrq)
        let effects = client.perform { $0.stepUnreachable(0, Self.port69, now: 1) }
        #expect(effects == [.end, .release])
        let failure = client.failure
        #expect(failure == "unreachable(byteCount: nil)")
    }

    @Test func aReportAboutAnotherPortChangesNothing() {
        var client = Client(.rrq)
        #expect(client.perform { $0.stepUnreachable(0, Self.tid, now: 1) } == [])
        let isRequesting = client.client.table.isRequesting(0)
        #expect(isRequesting)
    }

    /// The server may have received all of it, and be gone.
    @Test func aPutOutlivesAClosedPort() {
        var client = Client(.wrq)
        client.receive(.ack(0))
        #expect(client.perform { $0.stepUnreachable(0, Self.tid, now: 1) } == [])
        let failure = client.failure
        #expect(failure == nil)
    }

    @Test func whatAnEarlierReportKeptBackGoesOutOnce() {
        var client = Client(.rrq)
        let generation = client.client.table.generation(of: 0)
        func fail(_ client: inout Client) -> [Client.Effect] {
            client.perform {
                $0.stepSendFailed(0, generation: generation, .byEarlierReport, now: 1)
            }
        }
        #expect(fail(&client) == [.send(.rrq, Self.port69)])
        client.receive(.data(1, byteCount: 512))
        #expect(fail(&client) == [.send(.ack, Self.tid)])
    }

    @Test func noWayToTheServerEndsARequestAndNoTransfer() {
        var client = Client(.rrq)
        let generation = client.client.table.generation(of: 0)
        client.receive(.data(1, byteCount: 512))
        func fail(_ client: inout Client) -> [Client.Effect] {
            client.perform {
                $0.stepSendFailed(0, generation: generation, .noWay(.noRouteToHost), now: 1)
            }
        }
        #expect(fail(&client) == [])
        var other = Client(.rrq)
        #expect(fail(&other) == [.end, .release])
        let failure = other.failure
        #expect(failure == "system(\(Errno.noRouteToHost))")
    }

    // MARK: Content

    /// The ring has room for two blocks: the ACK of the second waits until one is taken.
    @Test func anACKWaitsForRoom() {
        var client = Client(.rrq, ringByteCount: 1024)
        #expect(
            client.receive(.data(1, byteCount: 512)) == [.begin, .keep, .send(.ack, Self.tid)])
        #expect(client.receive(.data(2, byteCount: 512)) == [.keep, .handOver, .awaitContent])
        let taken = ContentPosition(byteCount: 512)
        #expect(client.perform { $0.stepContent(0, taken, now: 3) } == [.send(.ack, Self.tid)])
    }

    /// The task may have moved while the driver left its note.
    @Test func aTaskThatMovesMeanwhileIsNotMissed() {
        var client = Client(.rrq, ringByteCount: 1024)
        client.receive(.data(1, byteCount: 512))
        client.receive(.data(2, byteCount: 512))
        let before = ContentPosition(byteCount: 0)
        #expect(client.perform { $0.stepAwaited(0, before) } == [])
        let taken = ContentPosition(byteCount: 1024)
        #expect(client.perform { $0.stepAwaited(0, taken) } == [.send(.ack, Self.tid)])
    }

    @Test func aSourceThatStallsEndsAPutAfterItsPatience() {
        var client = Client(.wrq, sourcePatienceMilliseconds: 500)
        #expect(client.receive(.ack(0)) == [.begin, .awaitContent])
        var now: UInt64 = 0
        while client.failure == nil, now < 10_000_000_000 {
            now += 50_000_000
            while let slot = client.client.nextTimeout(now: now) {
                client.perform { $0.stepTimeout(slot, now: now) }
            }
        }
        let failure = client.failure
        #expect(failure == "sourceStalled(milliseconds: 500)")
        #expect(now >= 500_000_000)
    }
}

/// A client with one transfer, whose effects are named.
private struct Client: ~Copyable {
    var client: TransferClient
    /// Why the transfer failed.
    private(set) var failure: String?

    enum Effect: Equatable {
        case send(Opcode, Endpoint)
        case sendBlocks, begin, announce, keep, handOver, awaitContent, end, startAgain, release
    }

    enum Answer {
        case ack(UInt16)
        case data(UInt16, byteCount: Int)
    }

    init(
        _ opcode: Opcode, ringByteCount: Int = 65_536, sourcePatienceMilliseconds: UInt32? = nil
    ) {
        client = TransferClient(transfersMax: 1, socketsMax: 1, seed: 1, now: 0)
        var request = ClientRequest(
            server: TransferClientTests.port69, opcode: opcode, name: Array("f".utf8))
        request.sourcePatienceMilliseconds = sourcePatienceMilliseconds
        _ = client.start(
            request, asking: Options(), through: 0, ringByteCount: ringByteCount, now: 0)
        takeEffects()
    }

    @discardableResult
    mutating func perform(_ step: (inout TransferClient) -> Void) -> [Effect] {
        step(&client)
        return takeEffects()
    }

    /// The server answers from its TID.
    @discardableResult
    mutating func receive(_ answer: Answer) -> [Effect] {
        let flow = Flow(peer: TransferClientTests.tid, local: .unspecified, socket: 0)
        let bytes: [UInt8] =
            switch answer {
            case .ack(let block): [0, 4, UInt8(block >> 8), UInt8(block & 0xFF)]
            case .data(let block, let byteCount):
                [0, 3, UInt8(block >> 8), UInt8(block & 0xFF)]
                    + [UInt8](repeating: 7, count: byteCount)
            }
        client.stepDatagram(bytes.span.bytes, from: flow, now: 1)
        return takeEffects()
    }

    @discardableResult
    private mutating func takeEffects() -> [Effect] {
        var effects: [Effect] = []
        while let effect = client.effects.takeFirst() {
            switch effect {
            case .send(let order):
                let opcode = Opcode(rawValue: UInt16(client.effects.bytes(of: order)[1]))
                effects.append(.send(opcode ?? .oack, order.flow.peer))
            case .sendBlocks: effects.append(.sendBlocks)
            case .begin: effects.append(.begin)
            case .announce: effects.append(.announce)
            case .keep: effects.append(.keep)
            case .handOver: effects.append(.handOver)
            case .awaitContent: effects.append(.awaitContent)
            case .end:
                if case .failure(let failure) = client.takeResult() {
                    self.failure = "\(failure)"
                }
                effects.append(.end)
            case .startAgain: effects.append(.startAgain)
            case .release: effects.append(.release)
            }
        }
        return effects
    }
}
