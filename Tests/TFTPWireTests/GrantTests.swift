import TFTPWire
import Testing

@Suite struct GrantTests {
    /// Server limits of one row: blksize, windowsize, bytes a window.
    static let wide = GrantLimits()
    static let narrow = GrantLimits(blksizeMax: 1428, windowsizeMax: 16)
    static let tight = GrantLimits(
        blksizeMax: 1428, windowsizeMax: 64, windowByteCountMax: 16 * 1024)

    struct Row: Sendable, CustomTestStringConvertible {
        var asked: String
        var granted: String
        var blksize: UInt16 = 512
        var windowsize: UInt16 = 1
        var timeoutSeconds: UInt8 = 0
        var limits = GrantTests.wide
        var byteCount: UInt64? = 1000
        var mode = TransferMode.octet
        var opcode = Opcode.rrq

        var testDescription: String { "\(asked) -> \(granted)" }
    }

    static let blksizeRows = [
        Row(asked: "", granted: ""),
        Row(asked: "blksize|7|", granted: ""),
        Row(asked: "blksize|0|", granted: ""),
        Row(asked: "blksize|8|", granted: "blksize|8|", blksize: 8),
        Row(asked: "blksize|512|", granted: "blksize|512|"),
        Row(asked: "blksize|1428|", granted: "blksize|1428|", blksize: 1428, limits: narrow),
        Row(asked: "blksize|1468|", granted: "blksize|1428|", blksize: 1428, limits: narrow),
        Row(asked: "blksize|65464|", granted: "blksize|65464|", blksize: 65464),
        Row(asked: "blksize|65465|", granted: "blksize|65464|", blksize: 65464),
        Row(asked: "blksize|65536|", granted: "blksize|65464|", blksize: 65464),
        Row(asked: "blksize|99999999999|", granted: "blksize|1428|", blksize: 1428, limits: narrow),
        Row(asked: "blksize|x|tsize|0|", granted: "tsize|1000|"),
    ]

    static let windowsizeRows = [
        Row(asked: "windowsize|0|", granted: ""),
        Row(asked: "windowsize|1|", granted: "windowsize|1|"),
        Row(asked: "windowsize|8|", granted: "windowsize|8|", windowsize: 8),
        Row(asked: "windowsize|17|", granted: "windowsize|16|", windowsize: 16, limits: narrow),
        Row(asked: "windowsize|65535|", granted: "windowsize|65535|", windowsize: 65535),
        Row(asked: "windowsize|65536|", granted: "windowsize|65535|", windowsize: 65535),
        Row(
            asked: "windowsize|5000000000|", granted: "windowsize|16|", windowsize: 16,
            limits: narrow),
        // 16 KiB are 11 blocks of 1428 bytes, 32 of 512 and 2048 of 8.
        Row(
            asked: "windowsize|64|blksize|1468|", granted: "windowsize|11|blksize|1428|",
            blksize: 1428, windowsize: 11, limits: tight),
        Row(asked: "windowsize|64|", granted: "windowsize|32|", windowsize: 32, limits: tight),
        Row(
            asked: "windowsize|99|blksize|8|", granted: "windowsize|64|blksize|8|", blksize: 8,
            windowsize: 64, limits: tight),
        Row(
            asked: "windowsize|4|blksize|1468|", granted: "windowsize|1|blksize|1468|",
            blksize: 1468, limits: GrantLimits(windowByteCountMax: 100)),
    ]

    static let timeoutRows = [
        Row(asked: "timeout|0|", granted: ""),
        Row(asked: "timeout|1|", granted: "timeout|1|", timeoutSeconds: 1),
        Row(asked: "timeout|255|", granted: "timeout|255|", timeoutSeconds: 255),
        Row(asked: "timeout|256|", granted: ""),
        Row(asked: "timeout|4294967297|", granted: ""),
    ]

    /// Options of tftp-hpa and of Windows, which no RFC describes.
    static let rareRows = [
        Row(asked: "blksize2|7|", granted: ""),
        Row(asked: "blksize2|8|", granted: "blksize2|8|", blksize: 8),
        Row(asked: "blksize2|1000|", granted: "blksize2|512|"),
        Row(asked: "blksize2|1468|", granted: "blksize2|1024|", blksize: 1024, limits: narrow),
        Row(asked: "blksize2|65535|", granted: "blksize2|32768|", blksize: 32768),
        Row(asked: "blksize2|1024|blksize|600|", granted: "blksize|600|", blksize: 600),
        Row(asked: "blksize|3|blksize2|1024|", granted: "blksize2|1024|", blksize: 1024),
        Row(
            asked: "blksize2|2000|windowsize|64|", granted: "blksize2|1024|windowsize|16|",
            blksize: 1024, windowsize: 16, limits: tight),
        Row(asked: "utimeout|9999|", granted: ""),
        Row(asked: "utimeout|10000|", granted: "utimeout|10000|"),
        Row(asked: "utimeout|255000000|", granted: "utimeout|255000000|"),
        Row(asked: "utimeout|255000001|", granted: ""),
        Row(
            asked: "utimeout|50000|timeout|2|", granted: "utimeout|50000|timeout|2|",
            timeoutSeconds: 2),
        Row(asked: "rollover|0|", granted: "rollover|0|"),
        Row(asked: "rollover|1|", granted: "rollover|1|"),
        Row(asked: "ROLLOVER|1|", granted: "rollover|1|", opcode: .wrq),
        Row(asked: "rollover|2|", granted: ""),
        Row(
            asked: "windowsize|8|msftwindow|31416|", granted: "windowsize|8|msftwindow|27182|",
            windowsize: 8),
        Row(asked: "msftwindow|31416|", granted: ""),
        Row(
            asked: "windowsize|8|msftwindow|27182|", granted: "windowsize|8|", windowsize: 8),
        // Windows waits for what it has asked for, and that may be more than is allowed here.
        Row(
            asked: "windowsize|8|msftwindow|31416|", granted: "windowsize|8|", windowsize: 8,
            limits: narrow),
        Row(
            asked: "windowsize|8|msftwindow|31416|", granted: "windowsize|8|", windowsize: 8,
            opcode: .wrq),
    ]

    static let tsizeRows = [
        Row(asked: "tsize|0|", granted: "tsize|1000|"),
        Row(asked: "tsize|77|", granted: "tsize|1000|"),
        Row(asked: "tsize|0|", granted: "tsize|0|", byteCount: 0),
        Row(asked: "tsize|0|", granted: "tsize|4294967296|", byteCount: 1 << 32),
        Row(asked: "tsize|0|", granted: "", byteCount: nil),
        Row(asked: "tsize|0|", granted: "", mode: .netascii),
        Row(asked: "tsize|77|", granted: "tsize|77|", byteCount: nil, opcode: .wrq),
        Row(asked: "tsize|77|", granted: "tsize|77|", mode: .netascii, opcode: .wrq),
        Row(asked: "blksize|512|", granted: "blksize|512|"),
    ]

    /// Files of 1000 bytes.
    static let partRows = [
        Row(asked: "offset|0|", granted: "offset|0|"),
        Row(asked: "offset|999|", granted: "offset|999|"),
        Row(asked: "offset|1000|length|9|", granted: "offset|1000|length|0|"),
        Row(asked: "offset|998|length|9|", granted: "offset|998|length|2|"),
        Row(asked: "length|9|offset|991|", granted: "length|9|offset|991|"),
        Row(asked: "length|0|", granted: "length|0|"),
        Row(asked: "length|18446744073709551615|", granted: "length|1000|"),
        Row(
            asked: "offset|8|length|18446744073709551615|", granted: "offset|8|length|992|"),
        // The size is that of the whole file.
        Row(asked: "tsize|0|offset|1|length|2|", granted: "tsize|1000|offset|1|length|2|"),
        Row(asked: "offset|0|length|0|", granted: "offset|0|length|0|", byteCount: 0),
        Row(
            asked: "offset|9223372036854775808|length|1|",
            granted: "offset|9223372036854775808|length|1|", byteCount: .max),
        // Left out, since no transfer could keep to it.
        Row(asked: "offset|1001|length|1|", granted: ""),
        Row(asked: "offset|0|length|1|", granted: "", byteCount: nil),
        Row(asked: "offset|0|length|1|", granted: "", mode: .netascii),
        Row(asked: "offset|0|length|1|", granted: "", byteCount: nil, opcode: .wrq),
    ]

    static let orderRows = [
        Row(
            asked: "tsize|0|blksize|1468|windowsize|4|",
            granted: "tsize|1000|blksize|1428|windowsize|4|", blksize: 1428, windowsize: 4,
            limits: narrow),
        Row(
            asked: "timeout|5|tsize|0|blksize|1468|windowsize|32|",
            granted: "timeout|5|tsize|1000|blksize|1428|windowsize|16|", blksize: 1428,
            windowsize: 16, timeoutSeconds: 5, limits: narrow),
        Row(asked: "blksize|3|x|y|TSIZE|0|timeout|0|", granted: "tsize|1000|"),
        // curl takes a tsize of 0 for an error: its policy leaves it out.
        Row(
            asked: "tsize|0|blksize|512|timeout|6|", granted: "blksize|512|timeout|6|",
            timeoutSeconds: 6, limits: GrantLimits(tellsEmptySize: false), byteCount: 0),
        Row(
            asked: "tsize|0|blksize|512|timeout|6|", granted: "tsize|1|blksize|512|timeout|6|",
            timeoutSeconds: 6, byteCount: 1),
        Row(
            asked: "blksize|1024|tsize|0|", granted: "blksize|1024|tsize|0|", blksize: 1024,
            byteCount: 0),
        Row(
            asked: "tsize|0|blksize|1456|windowsize|8|msftwindow|31416|",
            granted: "tsize|1000|blksize|1456|windowsize|8|msftwindow|27182|", blksize: 1456,
            windowsize: 8),
    ]

    @Test(
        arguments: blksizeRows + windowsizeRows + timeoutRows + rareRows + tsizeRows + partRows
            + orderRows)
    func optionsAreGranted(row: Row) {
        let grant = Options(wire: row.asked).grant(
            limits: row.limits, byteCount: row.byteCount, mode: row.mode, opcode: row.opcode)
        #expect(grant.options.wire == row.granted)
        #expect(grant.blksize == row.blksize)
        #expect(grant.windowsize == row.windowsize)
        #expect(grant.timeoutSeconds == row.timeoutSeconds)
        #expect((grant.rollover == .toOne) == (grant.options.rollover == 1))
    }

    /// The shorter of both counts.
    @Test(
        arguments: [
            ("", 0), ("timeout|2|", 2_000_000), ("utimeout|50000|", 50_000),
            ("utimeout|50000|timeout|2|", 50_000), ("timeout|1|utimeout|1500000|", 1_000_000),
        ] as [(String, UInt32)])
    func theTimeoutInMicroseconds(asked: String, microseconds: UInt32) {
        let grant = Options(wire: asked).grant(
            limits: Self.wide, byteCount: 1, mode: .octet, opcode: .rrq)
        #expect(grant.timeoutMicroseconds == microseconds)
    }

    @Test func aPlainRequestGetsNoOACK() {
        let grant = Options().grant(limits: Self.narrow, byteCount: 5, mode: .octet, opcode: .rrq)
        #expect(grant == Grant())
        #expect(grant.options.isEmpty)
    }

    @Test(
        arguments: [
            ("", 0..<1000, nil), ("tsize|0|", 0..<1000, 1000), ("offset|0|", 0..<1000, nil),
            ("tsize|0|offset|300|", 300..<1000, 700), ("offset|300|length|50|", 300..<350, 50),
            ("length|50|tsize|0|", 0..<50, 50), ("offset|980|length|50|", 980..<1000, 20),
            ("offset|1000|tsize|0|", 1000..<1000, 0),
        ] as [(String, Range<UInt64>, UInt64?)])
    func whatIsGrantedIsAPart(asked: String, part: Range<UInt64>, told: UInt64?) {
        let grant = Options(wire: asked).grant(
            limits: Self.wide, byteCount: 1000, mode: .octet, opcode: .rrq)
        #expect(grant.part(of: 1000) == part)
        #expect(grant.partByteCount == told)
    }

    @Test func whatBeginsBeyondTheEnd() {
        let options = Options(wire: "offset|1001|")
        #expect(options.beginsBeyond(byteCount: 1000, mode: .octet))
        #expect(!options.beginsBeyond(byteCount: 1001, mode: .octet))
        #expect(!options.beginsBeyond(byteCount: 1000, mode: .netascii))
        #expect(!Options(wire: "length|1001|").beginsBeyond(byteCount: 0, mode: .octet))
    }

    /// Goal: a client of ours accepts whatever a server of ours grants, and both come to the same.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func whateverIsGrantedIsAccepted(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let asked = randomOptions(using: &generator)
            let limits = GrantLimits(
                blksizeMax: .random(in: 8...65464, using: &generator),
                windowsizeMax: .random(in: 1...65535, using: &generator),
                windowByteCountMax: Bool.random(using: &generator)
                    ? .random(in: 0...100_000, using: &generator) : nil)
            let byteCount = UInt64.random(in: 0...3, using: &generator)
            // There is nothing that could be granted.
            guard !asked.beginsBeyond(byteCount: byteCount, mode: .octet) else { continue }
            let grant = asked.grant(
                limits: limits, byteCount: byteCount, mode: .octet, opcode: .rrq)
            try #require(try Options.accept(oack: grant.options, asked: asked) == grant)
            try #require(grant.blksize <= max(limits.blksizeMax, 512))
            try #require(grant.windowsize <= limits.windowsizeMax)
        }
    }

    /// tftpy, partftpy and ptftpd repeat defaults that were not asked for.
    @Test(arguments: [
        ("windowsize|8|", "blksize|512|windowsize|8|", "windowsize|8|"),
        ("blksize|1428|", "windowsize|1|blksize|1428|", "blksize|1428|"),
        ("tsize|0|", "tsize|7|blksize|512|windowsize|1|", "tsize|7|"),
    ])
    func aDefaultThatWasNotAskedChangesNothing(asked: String, oack: String, plain: String) throws {
        let asked = Options(wire: asked)
        let grant = try Options.accept(oack: Options(wire: oack), asked: asked)
        let expected = try Options.accept(oack: Options(wire: plain), asked: asked)
        #expect(grant == expected)
    }

    @Test(
        arguments: [
            ("blksize|1468|", "blksize|1469|", .raised(.blksize)),
            ("blksize|1468|", "blksize|7|", .outOfRange(.blksize)),
            ("blksize|4294967295|", "blksize|65465|", .outOfRange(.blksize)),
            ("blksize|4294967295|", "blksize|65544|", .outOfRange(.blksize)),
            ("windowsize|8|", "windowsize|9|", .raised(.windowsize)),
            ("windowsize|8|", "windowsize|0|", .outOfRange(.windowsize)),
            ("windowsize|99999|", "windowsize|65537|", .outOfRange(.windowsize)),
            ("timeout|5|", "timeout|4|", .changed(.timeout)),
            ("timeout|5|", "timeout|6|", .changed(.timeout)),
            ("timeout|256|", "timeout|256|", .outOfRange(.timeout)),
            ("blksize|1468|", "tsize|5|", .unasked(.tsize)),
            ("blksize|1468|", "blksize|1468|windowsize|2|", .unasked(.windowsize)),
            ("windowsize|8|", "blksize|1428|windowsize|8|", .unasked(.blksize)),
            ("", "timeout|1|", .unasked(.timeout)),
            ("blksize|8|", "offset|0|", .unasked(.offset)),
            ("offset|5|", "offset|6|", .changed(.offset)),
            ("offset|5|", "offset|4|", .changed(.offset)),
            ("length|5|", "length|6|", .raised(.length)),
            ("offset|5|", "", .ignored(.offset)),
            ("tsize|0|offset|0|", "tsize|9|", .ignored(.offset)),
            ("length|5|blksize|8|", "blksize|8|", .ignored(.length)),
            ("offset|5|length|6|", "offset|5|", .ignored(.length)),
            ("blksize2|1024|", "blksize2|2048|", .raised(.blksize2)),
            ("utimeout|20000|", "utimeout|10000|", .changed(.utimeout)),
            ("utimeout|5|", "utimeout|5|", .outOfRange(.utimeout)),
            ("rollover|1|", "rollover|0|", .changed(.rollover)),
            ("rollover|7|", "rollover|7|", .outOfRange(.rollover)),
            ("tsize|0|", "rollover|1|", .unasked(.rollover)),
            ("msftwindow|31416|", "msftwindow|31416|", .changed(.msftwindow)),
        ] as [(String, String, NegotiationError)])
    func whatWasNotAskedIsRefused(asked: String, oack: String, error: NegotiationError) {
        #expect(throws: error) {
            try Options.accept(oack: Options(wire: oack), asked: Options(wire: asked))
        }
    }

    @Test(
        arguments: [
            ("blksize|1468|windowsize|8|", "blksize|1428|windowsize|4|", 1428, 4),
            ("blksize|1468|windowsize|8|", "windowsize|8|blksize|8|", 8, 8),
            ("blksize|1468|tsize|0|", "tsize|123|", 512, 1), ("blksize|1468|", "", 512, 1),
            ("blksize|1468|", "blksize|1468|x|y|", 1468, 1),
            ("offset|5|length|9|", "offset|5|length|0|", 512, 1),
        ] as [(String, String, UInt16, UInt16)])
    func lessThanWasAskedIsAccepted(
        asked: String, oack: String, blksize: UInt16, windowsize: UInt16
    ) throws {
        let grant = try Options.accept(oack: Options(wire: oack), asked: Options(wire: asked))
        #expect(grant.blksize == blksize)
        #expect(grant.windowsize == windowsize)
        #expect(grant.options == Options(wire: oack))
    }
}
