import Testing

@testable import TFTPClient

/// A rate, without a clock.
struct RateLimitTests {
    @Test func whatPassesStaysBelowTheRate() {
        var limit = RateLimit(bytesPerSecond: 100_000)
        var now: UInt64 = 5_000_000_000
        let end = now + 2_000_000_000
        var byteCount = 0
        while now < end {
            byteCount += limit.allowance(of: 1_000_000, now: now)
            now += 1_000_000
        }
        #expect((195_000...205_000).contains(byteCount))
    }

    @Test func aPauseEndsWhenWhatHasPassedIsPaidFor() {
        var limit = RateLimit(bytesPerSecond: 1024)
        #expect(limit.pause(now: 7) == nil)
        #expect(limit.allowance(of: 10_000, now: 7) == 512)
        #expect(limit.pause(now: 7) == .milliseconds(500))
        #expect(limit.allowance(of: 10_000, now: 7) == 0)
        #expect(limit.pause(now: 500_000_007) == nil)
    }

    /// After a silence nothing comes at once.
    @Test func nothingIsSavedUp() {
        var limit = RateLimit(bytesPerSecond: 20_000)
        _ = limit.allowance(of: 1000, now: 0)
        let later: UInt64 = 60_000_000_000
        #expect(limit.allowance(of: 100_000, now: later) == 1000)
        #expect(limit.allowance(of: 100_000, now: later) == 0)
    }
}

/// Transfers with a limit, and by one interface, with our own server.
@Suite(.serialized)
struct LimitedTransferTests {
    /// 200,000 bytes at 400,000 a second take half a second, less the first quantum.
    @Test func getsAndPutsBelowTheRate() async throws {
        try await Served.run { served in
            let bytes = content(200_000)
            try served.folder.publish(bytes, as: "file")
            var options = TFTPClient.Options()
            options.rateMax = 400_000
            let begin = ContinuousClock.now
            let got = try await served.client.get("file", from: served.server, options: options)
            let middle = ContinuousClock.now
            #expect(got.bytes == bytes)
            #expect(middle - begin > .milliseconds(400))
            _ = try await served.client.put(
                bytes, as: "copy", to: served.server, options: options)
            #expect(ContinuousClock.now - middle > .milliseconds(400))
            #expect(served.folder.published("copy") == bytes)
        }
    }

    @Test func byOneInterface() async throws {
        try await Served.run { served in
            try served.folder.publish([1, 2], as: "file")
            var options = TFTPClient.Options()
            options.interface = "lo"
            let got = try await served.client.get("file", from: served.server, options: options)
            #expect(got.bytes == [1, 2])
            options.interface = "no-such-0"
            await #expect(throws: TFTPClient.Failure.self) {
                try await served.client.get("file", from: served.server, options: options)
            }
        }
    }
}
