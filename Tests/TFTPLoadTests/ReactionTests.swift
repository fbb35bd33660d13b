import TFTPLoad
import TFTPWire
import Testing

/// What each client says to a block that it does not expect.
@Suite struct ReactionTests {
    /// With blocks 1 to 3 here: block 3 again, block 1 again, block 5, block 6, then block 4.
    static let lockstep: [(ClientKind, String, String, String, String, String)] = [
        (.ipxe, "ack 3", "ack 3", "accept 5 ack 3", "accept 6 ack 3", "accept 4 ack 6"),
        (.grub, "ack 3", "ack 1", "", "", "accept 4 ack 4"),
        (.pxelinux, "ack 3", "ack 3", "ack 3", "ack 3", "accept 4 ack 4"),
        (.uboot, "", "", "ack 3", "", "accept 4 ack 4"),
        (.ubootLwIP, "ack 3", "error 5", "error 5", "error 5", "accept 4 ack 4"),
        (.curl, "ack 3", "", "", "", "accept 4 ack 4"),
        (.busybox, "", "", "", "", "accept 4 ack 4"),
        (.rpi, "ack 3", "", "", "", "accept 4 ack 4"),
        (.hpa, "ack 3", "", "", "", "accept 4 ack 4"),
        (.plain, "ack 3", "", "ack 3", "", "accept 4 ack 4"),
    ]

    @Test(arguments: lockstep)
    func lockstepReactions(
        kind: ClientKind, previous: String, older: String, ahead: String, farther: String,
        next: String
    ) {
        var bench = Bench(kind)
        bench.beginLoad()
        for number in 1...3 as ClosedRange<UInt16> where bench.expected == number {
            #expect(bench.data(number) == "accept \(number) ack \(number)")
        }
        #expect(bench.data(3) == previous)
        #expect(bench.data(1) == older)
        #expect(bench.data(5) == ahead)
        #expect(bench.data(6) == farther)
        #expect(bench.data(4) == next)
        #expect(bench.table.counters.duplicates == 2)
        #expect(bench.table.counters.gaps == 2)
    }

    /// EDK II acknowledges for each wrong block and counts its window from there.
    @Test func edk2AcknowledgesEachWrongBlock() {
        var bench = Bench(.edk2)
        bench.beginLoad()
        #expect(bench.data(1) == "accept 1")
        #expect(bench.data(3) == "ack 1")
        #expect(bench.data(4) == "ack 1")
        #expect(bench.data(1) == "ack 1")
        for number in 2...4 as ClosedRange<UInt16> {
            #expect(bench.data(number) == "accept \(number)")
        }
        #expect(bench.data(5) == "accept 5 ack 5")
    }

    /// U-Boot tells of a gap once, counts its window from there, and is blind to a lost block 1.
    @Test func ubootAcknowledgesAGapOnce() {
        var profile = ClientProfile(.uboot)
        profile.ask(windowsize: 4)
        var bench = Bench(profile)
        #expect(bench.oack("timeout|5|blksize|1468|windowsize|4|") == "ack 0")
        #expect(bench.data(2) == "")
        #expect(bench.data(3) == "")
        #expect(bench.data(1) == "accept 1")
        #expect(bench.data(3) == "ack 1")
        #expect(bench.data(4) == "")
        for number in 2...4 as ClosedRange<UInt16> {
            #expect(bench.data(number) == "accept \(number)")
        }
        #expect(bench.data(5) == "accept 5 ack 5")
    }

    /// In the upper half of a cycle all that is not expected looks old to U-Boot.
    @Test func ubootIsSilentInTheUpperHalf() {
        var bench = Bench(.uboot)
        bench.beginLoad()
        bench.receive(upTo: 32_766)
        #expect(bench.data(32_769) == "")
        #expect(bench.data(32_767) == "accept 32767 ack 32767")
        bench.receive(upTo: 40_000)
        #expect(bench.data(40_002) == "")
        #expect(bench.data(3) == "")
        bench.receive(upTo: 65_600)
        #expect(bench.data(66) == "ack 64")
    }

    /// barebox keeps what is in its window and says nothing until the window is whole.
    @Test func bareboxKeepsItsWindow() {
        var bench = Bench(.barebox)
        bench.beginLoad()
        for number in 2...64 as ClosedRange<UInt16> where number != 10 {
            #expect(bench.data(number) == "accept \(number)")
        }
        #expect(bench.data(65) == "")
        #expect(bench.data(64) == "")
        #expect(bench.data(1) == "accept 1")
        #expect(bench.expected == 10)
        // A time-out says what is here and moves the window.
        #expect(bench.timeOut()?.words == "ack 9")
        #expect(bench.data(10) == "accept 10")
        #expect(bench.expected == 65)
        #expect(bench.data(66) == "accept 66")
        for number in 67...73 as ClosedRange<UInt16> {
            #expect(bench.data(number) == "accept \(number)")
        }
        #expect(bench.data(65) == "accept 65 ack 73")
    }

    /// A correct client: one ACK a gap, and the end of a window again when that comes again.
    @Test func plainKeepsToRFC7440() {
        var bench = Bench(.plain(windowsize: 4))
        #expect(bench.oack("windowsize|4|") == "ack 0")
        for number in 1...3 as ClosedRange<UInt16> {
            #expect(bench.data(number) == "accept \(number)")
        }
        // Inside a window there is nothing to say to a repetition.
        #expect(bench.data(3) == "")
        #expect(bench.data(4) == "accept 4 ack 4")
        #expect(bench.data(4) == "ack 4")
        #expect(bench.data(5) == "accept 5")
        #expect(bench.data(7) == "ack 5")
        #expect(bench.data(8) == "")
        for number in 6...8 as ClosedRange<UInt16> {
            #expect(bench.data(number) == "accept \(number)")
        }
        #expect(bench.data(9) == "accept 9 ack 9")
        #expect(bench.data(10, 7) == "accept 10. ack 10 done")
        #expect(bench.data(10, 7) == "")
    }

    /// iPXE takes its length from `tsize`, and completes whatever came last.
    @Test func ipxeCompletesInAnyOrder() {
        var bench = Bench(.ipxe)
        #expect(bench.oack("blksize|1432|tsize|4300|") == "ack 0")
        #expect(bench.data(4, 4) == "accept 4. ack 0")
        #expect(bench.data(2) == "accept 2 ack 0")
        #expect(bench.data(3) == "accept 3 ack 0")
        #expect(bench.data(1) == "accept 1 ack 4 done")
    }

    /// The last block ends PXELINUX's transfer with an ERROR, which is harmless.
    @Test func pxelinuxClosesWithAnError() {
        var bench = Bench(.pxelinux)
        #expect(bench.oack("tsize|1|blksize|1408|") == "ack 0")
        #expect(bench.data(1, 1) == "accept 1. ack 1 error 0 done")
    }

    @Test(arguments: ClientKind.allCases)
    func overlongBlocksEndTheBoot(kind: ClientKind) {
        var bench = Bench(kind)
        bench.beginLoad()
        let next = UInt16(bench.expected)
        let byteCount = bench.table.blksize(of: bench.machine) + 1
        #expect(bench.data(next, byteCount) == "error 4 failed overlongBlock")
    }

    @Test func errorsInMidTransferEndTheBoot() {
        for kind in ClientKind.allCases where kind != .pxelinux {
            var bench = Bench(kind)
            bench.beginLoad()
            #expect(bench.error(3).hasPrefix("failed errorFromServer"))
        }
        // PXELINUX does not see it, and waits on.
        var bench = Bench(.pxelinux)
        bench.beginLoad()
        #expect(bench.error(3) == "")
        var words = ""
        while let timeOut = bench.timeOut() { words = timeOut.words }
        #expect(words.hasPrefix("failed errorFromServer"))
    }

    @Test func strangersAreAnsweredAsTheOriginalDoes() {
        let reactions: [(ClientKind, String)] = [
            (.ipxe, ""), (.ubootLwIP, "error 2"), (.curl, "failed strangeTID"), (.plain, "error 5"),
        ]
        for (kind, words) in reactions {
            var bench = Bench(kind)
            let server = bench.table.admits(bench.machine, port: 4000)
            #expect(server)
            bench.beginLoad()
            let stranger = bench.table.admits(bench.machine, port: 4001)
            #expect(!stranger)
            #expect(bench.table.serverTID(of: bench.machine) == 4000)
            #expect(bench.table.stepStranger(bench.machine, now: bench.now).words == words)
            #expect(bench.table.counters.strangers == 1)
        }
    }

    /// To another address nothing is ever sent, whatever the original would say.
    @Test(arguments: ClientKind.allCases)
    func otherAddressesGetNoAnswer(kind: ClientKind) {
        var bench = Bench(kind)
        bench.beginLoad()
        let words = bench.table.stepForeigner(bench.machine, now: bench.now).words
        #expect(words == (kind == .curl ? "failed strangeAddress" : ""))
        #expect(bench.table.counters.strangers == 1)
    }

    /// A machine that times out while answers come from other sources reports that; what came
    /// before the last progress is forgotten.
    @Test func patienceEndsWithItsReason() {
        var bench = Bench(.busybox)
        bench.beginLoad()
        _ = bench.table.stepStranger(bench.machine, now: bench.now)
        #expect(bench.lastWords() == "failed strayPort")
        bench = Bench(.busybox)
        _ = bench.table.stepForeigner(bench.machine, now: bench.now)
        #expect(bench.lastWords() == "failed strayAddress")
        bench = Bench(.busybox)
        bench.beginLoad()
        _ = bench.table.stepForeigner(bench.machine, now: bench.now)
        _ = bench.data(1)
        #expect(bench.lastWords().hasPrefix("failed timedOut"))
    }
}

/// What happens where the 16 bits end.
@Suite struct RolloverTests {
    /// With blocks 1 to 65535 here: 65535 again, then block 0.
    static let after65535: [(ClientKind, String, String)] = [
        (.ipxe, "failed repeated65535", ""), (.grub, "", "accept 65536 ack 0"),
        (.pxelinux, "ack 65535", "accept 65536 ack 0"), (.uboot, "", "accept 65536 ack 0"),
        (.ubootLwIP, "ack 65535", "accept 65536 ack 0"), (.curl, "ack 65535", "accept 65536 ack 0"),
        (.busybox, "", "accept 65536 ack 0"), (.hpa, "ack 65535", "accept 65536 ack 0"),
        (.rpi, "ack 65535", "accept 65536 ack 0"), (.plain, "ack 65535", "accept 65536 ack 0"),
        // With windows of 4 and 64, 65535 is the last but one; EDK II counts from its latest ACK.
        (.edk2, "ack 65535", "accept 65536"), (.barebox, "", "accept 65536 ack 0"),
        (.windows, "", "accept 65536 ack 0"),
    ]

    @Test func eachKindIsHere() {
        for list in [RolloverTests.after65535, RolloverTests.before65535] {
            #expect(Set(list.map(\.0)) == Set(ClientKind.allCases))
        }
    }

    @Test(arguments: after65535)
    func block65535Again(kind: ClientKind, again: String, zero: String) {
        var bench = Bench(kind)
        bench.beginLoad()
        bench.receive(upTo: 65_535)
        #expect(bench.data(65_535) == again)
        #expect(bench.data(0) == zero)
    }

    /// With blocks 1 to 65534 here, and 65535 lost: block 0, then 65535.
    static let before65535: [(ClientKind, String, String)] = [
        (.ipxe, "failed blockZeroEarly", ""), (.grub, "ack 0", "accept 65535 ack 65535"),
        (.pxelinux, "ack 65534", "accept 65535 ack 65535"), (.uboot, "", "accept 65535 ack 65535"),
        (.ubootLwIP, "error 5", "accept 65535 ack 65535"), (.curl, "", "accept 65535 ack 65535"),
        (.busybox, "", "accept 65535 ack 65535"), (.plain, "ack 65534", "accept 65535 ack 65535"),
        (.rpi, "", "accept 65535 ack 65535"), (.hpa, "", "accept 65535 ack 65535"),
        // A window begins behind the ACK that tells of the gap; barebox keeps block 0.
        (.edk2, "ack 65534", "accept 65535"), (.windows, "ack 65534", "accept 65535"),
        (.barebox, "accept 65536", "accept 65535 ack 0"),
    ]

    @Test(arguments: before65535)
    func block0Early(kind: ClientKind, zero: String, next: String) {
        var bench = Bench(kind)
        bench.beginLoad()
        bench.receive(upTo: 65_534)
        #expect(bench.data(0) == zero)
        #expect(bench.data(65_535) == next)
    }

    @Test(arguments: ClientKind.allCases)
    func theCountGoesOnAcrossRollovers(kind: ClientKind) {
        var bench = Bench(kind)
        bench.beginLoad()
        // Twice for those that count in a way of their own.
        let last: UInt64 = [.ipxe, .grub, .uboot].contains(kind) ? 131_080 : 65_544
        bench.receive(upTo: last)
        #expect(bench.expected == last + 1)
        let words = bench.data(UInt16(truncatingIfNeeded: last + 1), 1)
        #expect(words.hasPrefix("accept \(last + 1). ack 9"))
        // iPXE goes by `tsize`, which says that there is more.
        #expect(words.hasSuffix("done") || kind == .ipxe)
    }

    /// barebox' window and EDK II's lie across the rollover.
    @Test func windowsLieAcrossTheRollover() {
        var profile = ClientProfile(.barebox)
        profile.ask(windowsize: 48)
        var bench = Bench(profile)
        bench.beginLoad()
        bench.receive(upTo: 65_530)
        #expect(bench.data(1) == "accept 65537")
        #expect(bench.data(0) == "accept 65536")
        for number in 65_531...65_534 as ClosedRange<UInt16> {
            #expect(bench.data(number) == "accept \(number)")
        }
        #expect(bench.data(65_535) == "accept 65535")
        #expect(bench.expected == 65_538)
        bench = Bench(.edk2)
        bench.beginLoad()
        bench.receive(upTo: 65_535)
        #expect(bench.data(1) == "ack 65535")
        #expect(bench.data(0) == "accept 65536")
    }
}

extension Bench {
    var expected: UInt64 { table.expectedBlock(of: machine) }

    /// All blocks in order.
    mutating func receive(upTo last: UInt64) {
        let byteCount = table.blksize(of: machine)
        while expected <= last {
            let number = BlockNumber(expected, rollover: .toZero)
            let effect = table.stepData(machine, block: number, byteCount: byteCount, now: now)
            precondition(effect.accept != nil)
        }
    }
}
