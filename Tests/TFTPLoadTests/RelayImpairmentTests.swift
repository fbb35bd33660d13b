import Testing

@testable import TFTPLoad

/// What `--impair` may say.
struct RelayImpairmentTests {
    @Test func readsEveryPart() throws {
        let all = try Impairment(
            "loss=1%,burst=4,dup=0.5%,reorder=2%:3ms,delay=2ms,jitter=500us,rate=100Mbit,queue=32")
        var way = Impairment.Way()
        way.loss = 0.01
        way.burst = 4
        way.duplicate = 0.005
        way.reorder = 0.02
        way.reorderNanoseconds = 3_000_000
        way.delayNanoseconds = 2_000_000
        way.jitterNanoseconds = 500_000
        way.bitsPerSecond = 100_000_000
        way.queueMax = 32
        #expect(all.up == way)
        #expect(all.down == way)
    }

    @Test(arguments: CommonLink.allCases)
    func readsCommonLinks(_ link: CommonLink) throws {
        let named = try Impairment(link.rawValue)
        let spelled = try Impairment(link.parts)
        #expect(named.up == spelled.up)
        #expect(named.down == spelled.down)
        #expect(named.text == link.parts)
        #expect(named.down.bitsPerSecond != nil)
    }

    @Test func prefixesNameOneWay() throws {
        let split = try Impairment("up.loss=2%,delay=1ms,down.delay=20us,down.rate=1.5Gbit")
        #expect(split.up.loss == 0.02)
        #expect(split.down.loss == 0)
        #expect(split.up.delayNanoseconds == 1_000_000)
        #expect(split.down.delayNanoseconds == 20_000)
        #expect(split.up.bitsPerSecond == nil)
        #expect(split.down.bitsPerSecond == 1_500_000_000)
    }

    @Test(arguments: [
        ("delay=0ms", UInt64(0)), ("delay=7ns", 7), ("delay=1.5us", 1_500),
        ("delay=2ms", 2_000_000),
        ("delay=10s", 10_000_000_000),
    ])
    func readsTimes(_ text: String, _ nanoseconds: UInt64) throws {
        #expect(try Impairment(text).up.delayNanoseconds == nanoseconds)
    }

    @Test(arguments: [
        ("rate=1kbit", UInt64(1_000)), ("rate=9600bit", 9_600), ("rate=100mbit", 100_000_000),
        ("rate=2.5Gbit", 2_500_000_000),
    ])
    func readsRates(_ text: String, _ bitsPerSecond: UInt64) throws {
        #expect(try Impairment(text).down.bitsPerSecond == bitsPerSecond)
    }

    @Test(arguments: [
        ("", "'' is not NAME=VALUE, as in loss=1%"),
        ("loss", "'loss' is not NAME=VALUE, as in loss=1%"),
        ("loss=1%,", "'' is not NAME=VALUE, as in loss=1%"),
        ("loss=1", "loss=1: give 0% to 100%, as in loss=1%"),
        ("loss=101%", "loss=101%: give 0% to 100%, as in loss=1%"),
        ("loss=-1%", "loss=-1%: give 0% to 100%, as in loss=1%"),
        ("up.dup=nan%", "up.dup=nan%: give 0% to 100%, as in up.dup=1%"),
        ("loss=1%,loss=2%", "loss is given twice"),
        ("up.loss=1%,up.loss=1%", "up.loss is given twice"),
        (
            "lost=1%",
            "there is no 'lost': loss, burst, dup, reorder, delay, jitter, rate, queue, or up. or down. before"
        ),
        (
            "left.loss=1%",
            "there is no 'left.loss': loss, burst, dup, reorder, delay, jitter, rate, queue, or up. or down. before"
        ),
        ("delay=2", "delay=2: give a time with its unit, ns, us, ms or s, as in 2ms"),
        ("delay=ms", "delay=ms: give a time with its unit, ns, us, ms or s, as in 2ms"),
        ("jitter=11s", "jitter=11s: 10s is the most"),
        ("reorder=2%:3", "reorder=2%:3: give a time with its unit, ns, us, ms or s, as in 2ms"),
        ("rate=100", "rate=100: give a rate with its unit, kbit, Mbit or Gbit, as in 100Mbit"),
        ("rate=0Mbit", "rate=0Mbit: a rate is 1kbit to 1000Gbit"),
        ("queue=0,rate=1Mbit", "queue=0: give 1 to 65536 packets"),
        ("queue=1.5,rate=1Mbit", "queue=1.5: give 1 to 65536 packets"),
        ("queue=64", "queue=64 has no effect without rate="),
        ("up.queue=64,down.rate=1Mbit", "up.queue=64 has no effect without rate="),
        ("burst=3", "burst=3 has no effect without loss="),
        ("burst=0.5,loss=1%", "burst=0.5: give 1 to 1000 packets"),
        ("burst=2,loss=80%", "bursts of 2.0 cannot cause a loss of 80.0%: give a longer burst="),
    ])
    func saysWhatIsWrong(_ text: String, _ message: String) {
        #expect(throws: ImpairmentError(message)) { try Impairment(text) }
    }
}
