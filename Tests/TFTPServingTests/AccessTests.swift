import TFTPCore
import Testing

@testable import TFTPServing

/// Our own endpoints, access lists and limits.
@Suite struct AccessTests {
    private let first = Address(ipv4: 0x0A00_0001)
    private let other = Address(ipv4: 0x0A00_0102)
    private let hall = Network(Address(ipv4: 0x0A00_0000), bitCount: 24)!

    @Test func anEndpointIsOursByAddressAndPort() {
        let own = OwnEndpoints(
            [
                OwnEndpoints.Entry(port: 69, address: first),
                OwnEndpoints.Entry(port: 70, address: nil),
            ], addresses: [other])
        defer { own.destroy() }
        #expect(own.contains(Endpoint(address: first, port: 69), local: first))
        #expect(!own.contains(Endpoint(address: other, port: 69), local: first))
        #expect(!own.contains(Endpoint(address: first, port: 71), local: first))
        // A socket for every address has those of the host, and loopback.
        #expect(own.contains(Endpoint(address: other, port: 70), local: first))
        #expect(own.contains(Endpoint(address: first, port: 70), local: first))
        let loopback = Address(ipv4: 0x7F00_0009)
        #expect(own.contains(Endpoint(address: loopback, port: 70), local: first))
        let client = Address(ipv4: 0x0A00_0203)
        #expect(!own.contains(Endpoint(address: client, port: 70), local: first))
    }

    @Test func whoIsDeniedMayNot() {
        let table = AccessTable(
            read: AccessList(denied: [hall]), write: AccessList(allowed: [hall]))
        #expect(!table.permits(first, isUpload: false) && table.permits(other, isUpload: false))
        #expect(table.permits(first, isUpload: true) && !table.permits(other, isUpload: true))
    }

    @Test func aRefusedClientIsToldOnceAMinute() {
        var table = AccessTable(read: AccessList(), write: AccessList())
        #expect(table.tells(first, now: 1_000_000_000))
        #expect(!table.tells(first, now: 59_000_000_000))
        #expect(table.tells(first, now: 63_000_000_000))
    }

    @Test func transfersAtOnceAreLimitedByClientAndByNetwork() {
        var table = LimitTable(
            clients: RequestLimits(transfersMax: 2), networks: RequestLimits(transfersMax: 3),
            transfersMax: 16, seed: 1)
        let neighbour = Address(ipv4: 0x0A00_0002)
        #expect(table.begin(first, now: 0) && table.begin(first, now: 0))
        #expect(!table.begin(first, now: 0))
        #expect(table.begin(neighbour, now: 0))
        #expect(!table.begin(neighbour, now: 0))
        #expect(table.begin(other, now: 0))
        table.end(first)
        #expect(table.begin(neighbour, now: 0))
    }

    @Test func transfersThatBeginInASecondAreLimited() {
        var table = LimitTable(
            clients: RequestLimits(transfersPerSecond: 2), networks: RequestLimits(),
            transfersMax: 16, seed: 1)
        for _ in 0..<2 {
            #expect(table.begin(first, now: 0))
            table.end(first)
        }
        #expect(!table.begin(first, now: 0))
        #expect(table.begin(first, now: 500_000_000))
        table.end(first)
        #expect(!table.begin(first, now: 500_000_000))
    }
}
