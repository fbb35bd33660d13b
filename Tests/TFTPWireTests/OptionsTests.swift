import TFTPWire
import Testing

@Suite struct OptionsTests {
    /// Left what a client sends, right what is understood of it, both with `|` for NUL.
    @Test(
        arguments: [
            // As clients send them.
            ("", ""), ("blksize|1432|tsize|0|", "blksize|1432|tsize|0|"),
            ("tsize|0|blksize|512|timeout|6|", "tsize|0|blksize|512|timeout|6|"),
            (
                "timeout|5|tsize|0|blksize|1468|windowsize|8|",
                "timeout|5|tsize|0|blksize|1468|windowsize|8|"
            ),
            // A part of a file.
            ("tsize|0|offset|1048576|length|512|", "tsize|0|offset|1048576|length|512|"),
            ("LENGTH|18446744073709551615|Offset|0|", "length|18446744073709551615|offset|0|"),
            ("offset|-1|length|1 |tsize|0|", "tsize|0|"),
            // Names in any case, values in plain decimal.
            ("BLKSIZE|8|WindowSize|2|", "blksize|8|windowsize|2|"),
            ("blksize|00512|", "blksize|512|"), ("blksize|0|", "blksize|0|"),
            ("tsize|18446744073709551615|", "tsize|18446744073709551615|"),
            ("tsize|00000000000000000001|", "tsize|1|"),
            // Values that are none, which leave out their option only.
            ("blksize|+512|tsize|0|", "tsize|0|"), ("blksize|-1|tsize|0|", "tsize|0|"),
            ("blksize| 512|tsize|0|", "tsize|0|"), ("blksize|512 |tsize|0|", "tsize|0|"),
            ("blksize|0x10|tsize|0|", "tsize|0|"), ("blksize|5.12|tsize|0|", "tsize|0|"),
            ("blksize|:|tsize|0|", "tsize|0|"), ("blksize|/|tsize|0|", "tsize|0|"),
            ("tsize|18446744073709551616|blksize|8|", "blksize|8|"),
            ("tsize|99999999999999999999|blksize|8|", "blksize|8|"),
            ("tsize|000000000000000000001|blksize|8|", "blksize|8|"),
            // Values beyond 32 bits stay the largest that there is.
            ("blksize|4294967295|", "blksize|4294967295|"),
            ("blksize|4294967296|", "blksize|4294967295|"),
            ("windowsize|18446744073709551615|", "windowsize|4294967295|"),
            // Unknown names take their value with them.
            ("multicast||blksize|8|", "blksize|8|"), ("x|y|blksize|8|", "blksize|8|"),
            ("rollover|tsize|blksize|8|", "blksize|8|"), ("blksiz|8|blksizes|8|", ""),
            // Empty tokens before a name are skipped; an empty value is a value.
            ("|blksize|8|", "blksize|8|"), ("|||blksize|8|||tsize|0||", "blksize|8|tsize|0|"),
            ("blksize||tsize|0|", "tsize|0|"), ("blksize||512|tsize|0|", ""),
            // The first of duplicates that can be read wins.
            ("blksize|8|blksize|9|", "blksize|8|"),
            ("blksize|8|tsize|0|BLKSIZE|x|", "blksize|8|tsize|0|"),
            ("blksize|x|tsize|0|blksize|9|", "tsize|0|blksize|9|"),
            // Tails without a NUL.
            ("blksize|8|tsize|0", "blksize|8|"), ("blksize|8|tsize|", "blksize|8|"),
            ("blksize|8|tsize", "blksize|8|"), ("blksize", ""), ("blksize|512", ""),
        ])
    func optionsAreRead(sent: String, understood: String) {
        #expect(Options(wire: sent).wire == understood)
    }

    @Test func absentOptionsAreNil() {
        let options = Options(wire: "blksize|1432|")
        #expect(options.blksize == 1432)
        #expect(options.windowsize == nil)
        #expect(options.timeout == nil)
        #expect(options.tsize == nil)
        #expect(options.offset == nil)
        #expect(options.length == nil)
        #expect(!options.isPartial)
        #expect(options.count == 1)
        #expect(!options.isEmpty)
        #expect(Options().isEmpty)
    }

    @Test func optionsThatNoRFCDescribes() {
        let options = Options(
            wire: "tsize|0|MSFTWindow|31416|Blksize2|1456|utimeout|20000|rollover|1|")
        #expect(options.msftwindow == 31416)
        #expect(options.blksize2 == 1456)
        #expect(options.utimeout == 20000)
        #expect(options.rollover == 1)
        #expect(options.blksize == nil)
        #expect(
            options.wire == "tsize|0|msftwindow|31416|blksize2|1456|utimeout|20000|rollover|1|")
        // A digit is itself only: 0x32 and 0x12 differ in the bit that tells cases apart.
        #expect(Options(wire: "blksize\u{12}|1456|") == Options())
    }

    /// 516 bytes in all, most of them whatever lay in the firmware's memory.
    @Test(arguments: 0..<50 as Range<UInt64>)
    func garbageAfterTheModeIsNotTakenForOptions(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var datagram = [0, 1] + [UInt8](wire: "/tftpboot/hppa|octet|")
        while datagram.count < 516 { datagram.append(.random(in: 0...255, using: &generator)) }
        guard case .request(.rrq, let filename, .octet, let options) = Decoded(datagram) else {
            Issue.record("not a request")
            return
        }
        #expect(filename == [UInt8](wire: "/tftpboot/hppa"))
        #expect(Options(parsing: options.span.bytes) == Options())
    }

    @Test func optionsStandInTheOrderInWhichTheyWereSet() {
        var options = Options()
        options.tsize = 1
        options.blksize = 2
        options.windowsize = 3
        options.timeout = 4
        #expect(options.wire == "tsize|1|blksize|2|windowsize|3|timeout|4|")
        options.blksize = nil
        options.tsize = 5
        #expect(options.wire == "tsize|5|windowsize|3|timeout|4|")
        options.blksize = 6
        options.tsize = nil
        options.timeout = nil
        options.timeout = nil
        #expect(options.wire == "windowsize|3|blksize|6|")
        options.windowsize = nil
        options.blksize = nil
        #expect(options == Options())
    }

    /// Goal: the packed order behaves as a list. Method: every sequence of four set and unset
    /// operations (twelve there are), against an array.
    @Test func theOrderIsAListWithoutRepeats() {
        var wrong = 0
        let names = Options.Name.allCases
        let operations = Array(0..<UInt8(2 * names.count))
        withEveryString(of: operations, countMax: 4) { steps in
            var options = Options()
            var model: [Options.Name] = []
            for step in steps {
                let name = names[Int(step) % names.count]
                let isSet = step < names.count
                options.set(name, to: isSet ? 7 : nil)
                if !isSet {
                    model.removeAll { $0 == name }
                } else if !model.contains(name) {
                    model.append(name)
                }
            }
            let present = (0..<options.count).map { options.order[$0] }
            if present != model || options.isEmpty != model.isEmpty { wrong += 1 }
        }
        #expect(wrong == 0)
    }

    @Test func optionsAreSmall() {
        #expect(MemoryLayout<Options>.stride <= 56)
        #expect(MemoryLayout<Grant>.stride <= 64)
    }
}
