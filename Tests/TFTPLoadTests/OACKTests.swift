import TFTPLoad
import TFTPWire
import Testing

/// What each client accepts and what it refuses.
@Suite struct OACKTests {
    static let answers: [(ClientKind, String, String)] = [
        (.ipxe, "blksize|65464|tsize|0|", "ack 0"), (.ipxe, "rollover|0|windowsize|8|", "ack 0"),
        (.ipxe, "blksize|512|tsize|9|garbage", "ack 0"),
        (.grub, "tsize|9|", "ack 0"), (.grub, "tsize|0|blksize|1024|", "ack 0"),
        (.grub, "TSIZE|9|BLKSIZE|1024|", "failed badOACK missing(tsize)"),
        (.grub, "blksize|1024|", "failed badOACK missing(tsize)"),
        (.pxelinux, "tsize|9|windowsize|1|", "error 8 failed badOACK unasked(windowsize)"),
        (.pxelinux, "tsize|9|rollover|0|", "error 8 failed badOACK unasked(rollover)"),
        (.pxelinux, "tsize|9|other|0|", "error 8 failed badOACK unaskedUnknown"),
        (.pxelinux, "tsize|9|blksize|63|", "error 8 failed badOACK outOfRange(blksize)"),
        (.pxelinux, "tsize|0|blksize|1408|", "error 8 failed badOACK emptyFile"),
        (.uboot, "timeout|5|blksize|512|", "ack 0"),
        (.uboot, "TIMEOUT|5|BLKSIZE|1468|", "ack 0"),
        (.uboot, "timeout|4|", "error 8 failed badOACK changed(timeout)"),
        (.uboot, "blksize|1469|", "error 8 failed badOACK raised(blksize)"),
        (.uboot, "windowsize|32|", "ack 0"),
        (.ubootLwIP, "tsize|0|blksize|1468|", "ack 0"),
        (.ubootLwIP, "timeout|1|", "error 4 failed badOACK unasked(timeout)"),
        (.ubootLwIP, "blksize|1469|", "error 4 failed badOACK raised(blksize)"),
        (.curl, "tsize|0|blksize|512|", "failed badOACK emptyFile"),
        (.curl, "blksize|513|", "failed badOACK raised(blksize)"),
        (.curl, "blksize|7|", "failed badOACK outOfRange(blksize)"),
        (.curl, "tsize|9|timeout|60|", "ack 0"),
        (.curl, "tsize|9|blksize", "failed badOACK malformedPair"),
        (.busybox, "tsize|9|", "ack 0"),
        (.busybox, "blksize|1024|", "error 8 failed badOACK raised(blksize)"),
        (.hpa, "", "ack 0"),
        (.plain, "", "ack 0"), (.plain, "tsize|9|", "error 8 failed badOACK unasked(tsize)"),
    ]

    @Test(arguments: answers)
    func oacksAreAnswered(kind: ClientKind, oack: String, answer: String) {
        var bench = Bench(kind)
        let words = bench.oack(oack)
            .replacing("(TFTPLoad.OACKFault.", with: " ")
            .replacing("(TFTPWire.Options.Name.", with: "(")
            .replacing("))", with: ")")
        #expect(words == answer || words == answer + ")")
    }

    /// The load stages of those that probe first.
    @Test func windowedClientsRefuseMoreThanTheyAsked() {
        var bench = Bench(.edk2)
        bench.reachLoad()
        #expect(bench.oack("blksize|1468|windowsize|5|").hasPrefix("error 4 failed badOACK"))
        bench = Bench(.edk2)
        bench.reachLoad()
        #expect(bench.oack("blksize|1468|windowsize|4").hasPrefix("error 4 failed badOACK"))
        bench = Bench(.edk2)
        bench.reachLoad()
        #expect(bench.oack("blksize|1468|tsize|4|").hasPrefix("error 4 failed badOACK"))
        bench = Bench(.barebox)
        bench.reachLoad()
        #expect(bench.oack("blksize|1433|").hasPrefix("failed badOACK"))
        bench = Bench(.barebox)
        bench.reachLoad()
        #expect(bench.oack("windowsize|65|").hasPrefix("failed badOACK"))
        bench = Bench(.windows)
        #expect(bench.oack("").hasPrefix("failed badOACK"))
    }

    @Test func grantsAreTaken() {
        var bench = Bench(.plain(blksize: 1400, windowsize: 16))
        #expect(bench.oack("windowsize|3|blksize|700|") == "ack 0")
        #expect(bench.table.blksize(of: bench.machine) == 700)
        #expect(bench.table.windowsize(of: bench.machine) == 3)
        #expect(bench.table.tsize(of: bench.machine) == nil)
        // No OACK, no options.
        bench = Bench(.plain(blksize: 1400, windowsize: 16))
        #expect(bench.data(1, 512) == "accept 1 ack 1")
        #expect(bench.table.blksize(of: bench.machine) == 512)
        #expect(bench.table.windowsize(of: bench.machine) == 1)
        bench = Bench(.ipxe)
        _ = bench.oack("tsize|77|")
        #expect(bench.table.tsize(of: bench.machine) == 77)
    }

    /// An OACK again: before block 1, and with blocks 1 and 2 here.
    static let again: [(ClientKind, String, String)] = [
        (.ipxe, "ack 0", "ack 2"), (.grub, "ack 0", "ack 0"), (.pxelinux, "", ""),
        (.uboot, "ack 0", "failed repeatedOACK"), (.ubootLwIP, "ack 0", "ack 0"),
        (.edk2, "ack 0", ""),
        (.curl, "ack 0", "ack 0"), (.busybox, "", ""), (.barebox, "", ""),
        (.plain, "ack 0", ""),
    ]

    @Test(arguments: again)
    func repeatedOACKs(kind: ClientKind, before: String, after: String) {
        var bench = Bench(kind == .plain ? .plain(blksize: 1000) : ClientProfile(kind))
        bench.reachLoad()
        let oack = bench.requestedOptions.granted(tsize: 100_000)
        #expect(bench.oack(oack) == "ack 0")
        #expect(bench.oack(oack) == before)
        bench.receive(upTo: 2)
        #expect(bench.oack(oack) == after)
        guard bench.table.isActive(bench.machine) else { return }
        // GRUB and curl count from the beginning again, all others go on.
        #expect(bench.expected == (kind == .grub || kind == .curl ? 1 : 3))
    }

    static let flaws: [(String, OACKFlaws)] = [
        ("", []), ("blksize|8|", []), ("blksize|8|tsize|0|", []),
        ("blksize|8", [.unterminated, .malformedPair]),
        ("blksize|", [.malformedPair]), ("blksize", [.unterminated, .malformedPair]),
        ("Blksize|8|", [.capitals]), ("multicast||", [.unknownName]), ("blksize|8||", [.padding]),
        ("|blksize|8|", [.padding]), ("tsize|ABC|", []),
    ]

    @Test(arguments: flaws)
    func flawsAreSeen(oack: String, flaws: OACKFlaws) {
        #expect(OACKFlaws(scanning: [UInt8](wire: oack).span.bytes) == flaws)
    }
}
