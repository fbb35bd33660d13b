import TFTPCore
import Testing

@testable import TFTPServing

/// Bytes a second by client and by network.
@Suite struct ByteRateTests {
    private let first = Address(ipv4: 0x0A00_0001)
    private let neighbour = Address(ipv4: 0x0A00_0002)
    private let other = Address(ipv4: 0x0A00_0102)
    private static let second: UInt64 = 1_000_000_000

    private static func table(client: Int? = nil, network: Int? = nil) -> LimitTable {
        LimitTable(
            clients: RequestLimits(bytesPerSecond: client),
            networks: RequestLimits(bytesPerSecond: network), transfersMax: 16, seed: 1)
    }

    /// Sends blocks of 1,000 bytes as soon as they may go out, until `end`. Returns their bytes.
    private func send(
        to clients: [Address], _ table: borrowing LimitTable, until end: UInt64
    ) -> [Int] {
        var next = clients.map { _ in (blockCount: 0, time: UInt64(0)) }
        var byteCounts = clients.map { _ in 0 }
        while let index = next.indices.min(by: { next[$0].time < next[$1].time }),
            next[index].time < end
        {
            let now = next[index].time
            byteCounts[index] += next[index].blockCount * 1000
            next[index] = table.reserve(clients[index], blockCount: 8, blksize: 1000, now: now)
            // A thread needs time as well.
            next[index].time = max(next[index].time, now + 1000)
        }
        return byteCounts
    }

    /// Who owns an IPv6 network cannot pick an address that counts as another client's.
    @Test func noAddressHasAnotherClientsKeyWithEverySeed() {
        let network = Address(high: 0x2001_0DB8_0000_0000, low: 0)
        let keys = (0..<64 as Range<UInt64>).map { seed in
            network.clientKey(seed: seed) ^ first.clientKey(seed: seed)
        }
        // A fixed difference could be made up for by the part of the address that is free.
        #expect(Set(keys).count == keys.count)
        for seed in 0..<64 as Range<UInt64> {
            #expect(first.clientKey(seed: seed) >> 62 == 0)
            #expect(first.clientKey(seed: seed) != neighbour.clientKey(seed: seed))
        }
    }

    @Test func withoutARateNothingIsReserved() {
        let table = LimitTable(
            clients: RequestLimits(), networks: RequestLimits(), transfersMax: 16, seed: 1)
        #expect(table.limitsBytes == false)
        #expect(table.isActive == false)
        #expect(table.windowByteCountMax == .max)
        #expect(table.blksizeMax == .max)
    }

    @Test func aClientGetsItsRate() {
        var table = Self.table(client: 100_000)
        _ = table.begin(first, now: 0)
        _ = table.begin(neighbour, now: 0)
        let byteCounts = send(to: [first, neighbour], table, until: 10 * Self.second)
        for byteCount in byteCounts { #expect((980_000...1_030_000).contains(byteCount)) }
    }

    @Test func aNetworkSharesItsRateEvenly() {
        var table = Self.table(network: 100_000)
        for client in [first, neighbour, other] { _ = table.begin(client, now: 0) }
        let byteCounts = send(to: [first, neighbour, other], table, until: 10 * Self.second)
        for byteCount in byteCounts[0...1] { #expect((480_000...520_000).contains(byteCount)) }
        #expect((980_000...1_030_000).contains(byteCounts[2]))
    }

    /// Two transfers of one client have no more than one.
    @Test func transfersOfOneClientShare() {
        var table = Self.table(client: 100_000, network: 1_000_000)
        _ = table.begin(first, now: 0)
        _ = table.begin(first, now: 0)
        let byteCounts = send(to: [first, first], table, until: 10 * Self.second)
        #expect((980_000...1_030_000).contains(byteCounts[0] + byteCounts[1]))
        #expect(byteCounts.allSatisfy { $0 > 400_000 })
    }

    @Test func whatIsNotNeededGoesToOthers() {
        var table = Self.table(client: 100_000)
        _ = table.begin(first, now: 0)
        let now = Self.second
        var time: UInt64 = now
        while time == now {
            time = table.reserve(first, blockCount: 1, blksize: 1000, now: now).time
        }
        table.cancel(first, byteCount: 50_000)
        #expect(table.reserve(first, blockCount: 1, blksize: 1000, now: now).time == now)
    }

    /// A client that has proven nothing waits for its turn no longer than the queue may be.
    @Test(arguments: [false, true])
    func theQueueOfTurnsHasAnEnd(isLimitOfNetwork: Bool) throws {
        let rate = 100_000
        var table =
            isLimitOfNetwork
            ? Self.table(client: 1 << 40, network: rate) : Self.table(client: rate)
        _ = table.begin(first, now: 0)
        let now = Self.second
        var times: [UInt64] = []
        while let time = table.reserveTurn(first, blksize: 512, now: now) {
            times.append(time - now)
            try #require(times.count < 1000)
        }
        let longest = try #require(times.last)
        #expect(longest <= LimitTable.turnNanosecondsMax)
        // A quarter of the rate, for four seconds and what a rest has saved up.
        #expect((195...215).contains(times.count), "\(times.count)")
        table.cancelTurn(first, byteCount: 512)
        #expect(table.reserveTurn(first, blksize: 512, now: now) != nil)
        #expect(table.reserveTurn(first, blksize: 512, now: now) == nil)
        #expect(table.reserveTurn(first, blksize: 512, now: now + Self.second / 10) != nil)
    }

    /// A window that takes longer than a second is not granted, nor a block that takes longer than
    /// half of one.
    @Test(arguments: [(1024, 1024, 512), (4096, 4096, 2048), (1 << 40, .max, .max)])
    func whatIsGrantedFitsTheRate(rate: Int, window: UInt32, blksize: UInt16) {
        let table = Self.table(client: rate, network: rate * 2)
        #expect(table.windowByteCountMax == window)
        #expect(table.blksizeMax == blksize)
    }
}
