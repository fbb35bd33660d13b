import TFTPCore
import Testing

@testable import TFTPServing

/// What clients, networks and all together may upload in a period.
@Suite struct UploadQuotaTests {
    private let first = Address(ipv4: 0x0A00_0001)
    private let neighbour = Address(ipv4: 0x0A00_0002)
    private let other = Address(ipv4: 0x0A00_0102)
    private static let hour: UInt64 = 3_600_000_000_000

    private static func quota(
        client: UInt64? = nil, network: UInt64? = nil, all: UInt64? = nil
    ) -> UploadQuota {
        var limits = UploadQuotaLimits()
        limits.clientByteCountMax = client
        limits.networkByteCountMax = network
        limits.byteCountMax = all
        limits.periodNanoseconds = hour
        return UploadQuota(limits, seed: 1)
    }

    private func charge(_ client: Address) -> UploadQuota.Charge {
        UploadQuota.Charge(client: client)
    }

    @Test func withoutLimitsNothingIsCounted() {
        let quota = UploadQuota(UploadQuotaLimits(), seed: 1)
        var upload = charge(first)
        #expect(quota.admits(first, byteCount: .max, now: 0) == true)
        #expect(quota.take(.max, &upload, now: 0) == true)
        quota.giveBack(upload)
    }

    @Test func eachClientHasItsOwn() {
        let quota = Self.quota(client: 1000)
        var (upload, others) = (charge(first), charge(neighbour))
        #expect(quota.take(1000, &upload, now: 0) == true)
        #expect(quota.take(1, &upload, now: 0) == false)
        #expect(quota.admits(first, byteCount: 0, now: 0) == false)
        #expect(quota.take(1000, &others, now: 0) == true)
    }

    @Test func aNetworkSharesOneAndAllShareAnother() {
        let quota = Self.quota(network: 1000, all: 1500)
        var (upload, others, third) = (charge(first), charge(neighbour), charge(other))
        #expect(quota.take(600, &upload, now: 0) == true)
        #expect(quota.admits(neighbour, byteCount: 401, now: 0) == false)
        #expect(quota.take(400, &others, now: 0) == true)
        #expect(quota.admits(other, byteCount: 501, now: 0) == false)
        #expect(quota.take(500, &third, now: 0) == true)
        #expect(quota.admits(other, byteCount: 0, now: 0) == false)
    }

    /// What one quota refuses is taken from none.
    @Test func whatIsRefusedIsNotTaken() {
        let quota = Self.quota(client: 1000, all: 1200)
        var (upload, others) = (charge(first), charge(other))
        #expect(quota.take(900, &upload, now: 0) == true)
        #expect(quota.take(301, &others, now: 0) == false)
        #expect(quota.take(300, &others, now: 0) == true)
        #expect(quota.admits(first, byteCount: 0, now: 0) == false)
    }

    @Test func aPeriodBeginsWithItsFirstUpload() {
        let quota = Self.quota(client: 1000)
        var upload = charge(first)
        let begin = Self.hour / 2
        #expect(quota.take(1000, &upload, now: begin) == true)
        #expect(quota.admits(first, byteCount: 0, now: begin + Self.hour - 1) == false)
        var next = charge(first)
        #expect(quota.take(1000, &next, now: begin + Self.hour) == true)
        #expect(quota.admits(first, byteCount: 0, now: begin + Self.hour) == false)
    }

    @Test func whatBecomesNoFileIsGivenBack() {
        let quota = Self.quota(client: 1000, network: 1000, all: 1000)
        var upload = charge(first)
        #expect(quota.take(400, &upload, now: 5) == true)
        #expect(quota.take(600, &upload, now: 7) == true)
        quota.giveBack(upload)
        for client in [first, neighbour, other] {
            #expect(quota.admits(client, byteCount: 1000, now: 9) == true)
        }
    }

    /// An upload that began in the last period gives nothing back to this one.
    @Test func thePastGivesNothingBack() {
        let quota = Self.quota(client: 1000)
        var old = charge(first)
        #expect(quota.take(900, &old, now: 0) == true)
        var new = charge(first)
        #expect(quota.take(1000, &new, now: Self.hour) == true)
        quota.giveBack(old)
        #expect(quota.admits(first, byteCount: 0, now: Self.hour) == false)
    }

    /// Where more clients upload than there are places, those that have taken little are forgotten.
    @Test func aClientThatHasTakenMuchIsRememberedInACrowd() {
        let quota = Self.quota(client: 1000, network: 1 << 40)
        var upload = charge(first)
        #expect(quota.take(1000, &upload, now: 0) == true)
        for number in 0..<100_000 as Range<UInt32> {
            var one = charge(Address(ipv4: 0x0B00_0000 + number))
            #expect(quota.take(1, &one, now: 1) == true)
        }
        #expect(quota.admits(first, byteCount: 0, now: 1) == false)
    }
}
