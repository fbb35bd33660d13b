import TFTPLoad
import TFTPWire
import Testing

/// What stands in the requests of one boot.
@Suite struct RequestTests {
    static let requests: [(ClientKind, [String])] = [
        (.ipxe, ["boot/a|octet|blksize|1432|tsize|0|"]),
        (.grub, ["boot/a|octet|blksize|1024|tsize|0|"]),
        (.pxelinux, ["boot/a|octet|tsize|0|blksize|1408|"]),
        (.uboot, ["boot/a|octet|timeout|5|tsize|0|blksize|1468|"]),
        (.ubootLwIP, ["boot/a|octet|tsize|0|blksize|1468|"]),
        (
            .edk2,
            [
                "boot/a|octet|tsize|0|blksize|1468|windowsize|4|",
                "boot/a|octet|blksize|1468|windowsize|4|",
            ]
        ),
        (.curl, ["boot/a|octet|tsize|0|blksize|512|timeout|6|"]),
        (.busybox, ["boot/a|octet|tsize|0|"]),
        (
            .barebox,
            [
                "boot/a|octet|timeout|5|blksize|512|tsize|0|",
                "boot/a|octet|timeout|5|blksize|1432|tsize|0|windowsize|64|",
            ]
        ),
        (
            .rpi,
            [
                "00000005/boot/a|octet|tsize|0|blksize|1468|", "boot/a|octet|tsize|0|blksize|1468|",
                "boot/a|octet|tsize|0|blksize|1468|",
            ]
        ),
        (
            .windows,
            [
                "\\boot\\a|octet|tsize|0|",
                "\\boot\\a|octet|tsize|0|blksize|1456|windowsize|4|msftwindow|31416|",
            ]
        ),
        (.hpa, ["boot/a|netascii|"]), (.plain, ["boot/a|octet|"]),
    ]

    @Test func eachKindIsHere() {
        #expect(RequestTests.requests.map(\.0) == ClientKind.allCases)
    }

    @Test(arguments: requests)
    func requestsCarryExactlyTheOptionsInOrder(kind: ClientKind, texts: [String]) {
        var bench = Bench(kind)
        for (stage, text) in texts.enumerated() {
            #expect(bench.lastEffect.request?.fromNewPort == true)
            #expect(bench.table.stage(of: bench.machine) == stage)
            let bytes = bench.request()
            #expect(bytes[..<2] == [0, 1])
            #expect(bytes.wireText == text)
            guard stage < texts.count - 1 else { break }
            if kind == .rpi && stage == 0 {
                _ = bench.error(1)
            } else {
                _ = bench.oack(bench.requestedOptions.granted(tsize: 1000))
            }
        }
    }

    /// By the same fingerprints that a server tells them by.
    @Test func serversRecogniseTheKinds() {
        let fingerprints: [(ClientKind, Fingerprint)] = [
            (.ipxe, .ipxe), (.grub, .grub), (.pxelinux, .pxelinux), (.uboot, .uboot),
            (.edk2, .edk2Probe), (.curl, .curl), (.barebox, .barebox), (.hpa, .plain),
        ]
        for (kind, fingerprint) in fingerprints {
            let bench = Bench(kind)
            #expect(Fingerprint(bench.requestedOptions) == fingerprint)
        }
        var bench = Bench(.edk2)
        bench.reachLoad()
        #expect(Fingerprint(bench.requestedOptions) == .edk2Load)
        bench = Bench(.windows)
        bench.reachLoad()
        #expect(Fingerprint(bench.requestedOptions) == .windows)
    }

    @Test func plainAsksForWhatItIsTold() {
        let all = Bench(.plain(blksize: 1400, windowsize: 16, timeout: 3))
        #expect(all.request().wireText == "boot/a|octet|blksize|1400|windowsize|16|timeout|3|")
        let window = Bench(.plain(windowsize: 8))
        #expect(window.request().wireText == "boot/a|octet|windowsize|8|")
    }

    @Test func namesAreSpelledAsTheClientDoes() {
        #expect(Bench(.grub).request("//boot///a/").wireText.hasPrefix("/boot/a/|octet"))
        #expect(Bench(.windows).request("/Boot/BCD").wireText.hasPrefix("\\Boot\\BCD|octet"))
        #expect(Bench(.ipxe).request("//a\\b").wireText.hasPrefix("//a\\b|octet"))
        let long = String(repeating: "x", count: MachineTable.nameByteCountMax)
        #expect(Bench(.rpi).request(long).wireText.hasPrefix("00000005/" + long + "|octet"))
    }

    @Test(arguments: [(ClientKind.ipxe, [0, 4, 1, 2]), (.windows, [0, 4, 1, 2, 4])])
    func acksHaveTheirLength(kind: ClientKind, bytes: [UInt8]) {
        var bench = Bench(kind)
        bench.beginLoad()
        let written = [UInt8](capacity: MachineTable.packetByteCountMax) {
            bench.table.writeAck(bench.machine, block: BlockNumber(rawValue: 0x0102), into: &$0)
        }
        #expect(written == bytes)
    }

    @Test func errorsAreWordedAsTheOriginal() {
        let bench = Bench(.edk2)
        let written = [UInt8](capacity: MachineTable.packetByteCountMax) {
            bench.table.writeError(.userAborted, into: &$0)
        }
        #expect(written == [0, 5, 0, 8] + Array("User aborted the transfer".utf8) + [0])
        for reply in ErrorReply.allCases { #expect(reply.message.utf8CodeUnitCount < 64) }
    }

    /// How each probe ends, and what follows it.
    @Test func probesAreClosed() {
        var bench = Bench(.edk2)
        #expect(bench.oack("tsize|9|blksize|1468|windowsize|4|") == "error 8 request+")
        bench = Bench(.barebox)
        #expect(bench.oack("timeout|5|blksize|512|tsize|9|") == "ack 0 error 0 request+")
        bench = Bench(.windows)
        #expect(bench.oack("tsize|9|") == "error 0 request+")
        bench = Bench(.rpi)
        #expect(bench.error(1) == "request+")
        #expect(bench.oack("tsize|9|blksize|1468|") == "error 0 request+")
        #expect(bench.oack("tsize|9|blksize|1468|") == "ack 0")
        // A server without options answers with DATA.
        bench = Bench(.edk2)
        #expect(bench.data(1) == "error 8 request+")
    }

    /// The file is there beneath the serial number: it is read there, and that is all.
    @Test func raspberryPiReadsBeneathItsSerialNumber() {
        var bench = Bench(.rpi)
        #expect(bench.oack("tsize|3|blksize|1468|") == "ack 0")
        #expect(bench.data(1, 3) == "accept 1. ack 1 done")
    }

    @Test func missingFilesAreReported() {
        var bench = Bench(.ipxe)
        #expect(bench.error(1) == "failed notFound")
        #expect(bench.table.activeCount == 0)
        bench = Bench(.rpi)
        #expect(bench.error(1) == "request+")
        #expect(bench.error(1) == "failed notFound")
        bench = Bench(.uboot)
        #expect(bench.error(2).hasPrefix("failed errorFromServer"))
    }
}
