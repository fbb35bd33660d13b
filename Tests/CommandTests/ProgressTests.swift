import Testing

@testable import TFTPClient
@testable import bootstorm

/// What is shown of a transfer, whatever its server says of the size.
struct ProgressTests {
    private static let sizes: [UInt64?] = [
        nil, 0, 1, 512, 10_000_000, 1 << 53, 1 << 63, .max - 1, .max,
    ]
    private static let times: [Duration] = [
        .zero, .nanoseconds(1), .milliseconds(200), .seconds(1), .seconds(3600), .seconds(1 << 40),
    ]

    private static func progress(
        _ byteCount: UInt64, of total: UInt64?, _ elapsed: Duration
    ) -> TFTPClient.Progress {
        TFTPClient.Progress(byteCount: byteCount, totalByteCount: total, elapsed: elapsed)
    }

    @Test func noSizeTraps() {
        for total in Self.sizes {
            for byteCount in Self.sizes.compactMap({ $0 }) {
                for elapsed in Self.times {
                    let one = Self.progress(byteCount, of: total, elapsed)
                    for count in 1...3 {
                        let all = Array(repeating: one, count: count)
                        let text = ProgressLine.text(all, count: count)
                        #expect(text.contains("MB/s"))
                        #expect(text.contains(" of ") == (total != nil))
                    }
                    if let remaining = one.remaining { #expect(remaining >= .zero) }
                }
            }
        }
    }

    @Test func showsHowFarItIs() {
        let half = Self.progress(5_000_000, of: 10_000_000, .seconds(1))
        #expect(
            ProgressLine.text([half], count: 1)
                == "[############············] 50 %  5.0 MB of 10.0 MB, 5.0 MB/s, 1 s left")
        #expect(half.remaining == .seconds(1))
        // One of two has not begun.
        #expect(ProgressLine.text([half], count: 2) == "5.0 MB, 5.0 MB/s")
        let endless = Self.progress(1, of: .max, .seconds(1))
        #expect(ProgressLine.text([endless], count: 1).hasSuffix("0.0 MB/s, days left"))
    }
}
