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
        #expect(own.contains(Endpoint(address: first, port: 69), local: first) == true)
        #expect(own.contains(Endpoint(address: other, port: 69), local: first) == false)
        #expect(own.contains(Endpoint(address: first, port: 71), local: first) == false)
        // A socket for every address has those of the host, and loopback.
        #expect(own.contains(Endpoint(address: other, port: 70), local: first) == true)
        #expect(own.contains(Endpoint(address: first, port: 70), local: first) == true)
        let loopback = Address(ipv4: 0x7F00_0009)
        #expect(own.contains(Endpoint(address: loopback, port: 70), local: first) == true)
        let client = Address(ipv4: 0x0A00_0203)
        #expect(own.contains(Endpoint(address: client, port: 70), local: first) == false)
    }

    @Test func whoIsDeniedMayNot() {
        let table = AccessTable(
            read: AccessList(denied: [hall]), write: AccessList(allowed: [hall]))
        #expect(table.permits(first, isUpload: false) == false)
        #expect(table.permits(other, isUpload: false) == true)
        #expect(table.permits(first, isUpload: true) == true)
        #expect(table.permits(other, isUpload: true) == false)
    }

    @Test func aRefusedClientIsToldOnceAMinute() {
        var table = AccessTable(read: AccessList(), write: AccessList())
        #expect(table.tells(first, now: 1_000_000_000) == true)
        #expect(table.tells(first, now: 59_000_000_000) == false)
        #expect(table.tells(first, now: 63_000_000_000) == true)
    }

    @Test func transfersAtOnceAreLimitedByClientAndByNetwork() {
        var table = LimitTable(
            clients: RequestLimits(transfersMax: 2), networks: RequestLimits(transfersMax: 3),
            transfersMax: 16, seed: 1)
        let neighbour = Address(ipv4: 0x0A00_0002)
        #expect(table.begin(first, now: 0) == true)
        #expect(table.begin(first, now: 0) == true)
        #expect(table.begin(first, now: 0) == false)
        #expect(table.begin(neighbour, now: 0) == true)
        #expect(table.begin(neighbour, now: 0) == false)
        #expect(table.begin(other, now: 0) == true)
        table.end(first)
        #expect(table.begin(neighbour, now: 0) == true)
    }

    @Test func aLargeRateIsNoLimit() {
        var table = LimitTable(
            clients: RequestLimits(transfersPerSecond: .max >> 20), networks: RequestLimits(),
            transfersMax: 16, seed: 1)
        for second in 0..<3 as Range<UInt64> {
            let isAllowed = table.begin(first, now: second * 1_000_000_000)
            #expect(isAllowed)
        }
    }

    /// Where places are few, a client and its network never share one: what begins ends.
    @Test func everyCountEnds() {
        var table = LimitTable(
            clients: RequestLimits(transfersMax: 1), networks: RequestLimits(transfersMax: 4),
            transfersMax: 4, seed: 1)
        for number in 0..<5_000 as Range<UInt32> {
            let address = Address(ipv4: 0x0A00_0000 + number * 37)
            if table.begin(address, now: UInt64(number) * 1_000_000) { table.end(address) }
        }
        for _ in 0..<3 {
            let isAllowed = table.begin(first, now: 6_000_000_000)
            #expect(isAllowed)
            table.end(first)
        }
    }

    @Test func transfersThatBeginInASecondAreLimited() {
        var table = LimitTable(
            clients: RequestLimits(transfersPerSecond: 2), networks: RequestLimits(),
            transfersMax: 16, seed: 1)
        for _ in 0..<2 {
            #expect(table.begin(first, now: 0) == true)
            table.end(first)
        }
        #expect(table.begin(first, now: 0) == false)
        #expect(table.begin(first, now: 500_000_000) == true)
        table.end(first)
        #expect(table.begin(first, now: 500_000_000) == false)
    }
}
