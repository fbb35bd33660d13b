import TFTPWire
import Testing

@Suite struct FingerprintTests {
    @Test(
        arguments: [
            ("", .plain), ("multicast||x|y|", .plain), ("blksize|abc|", .plain),
            ("blksize|1432|tsize|0|", .ipxe), ("blksize|1432|tsize|0|multicast||", .ipxe),
            ("tsize|0|blksize|1432|", .other), ("blksize|1432|tsize|9|", .other),
            ("blksize|1432|", .other), ("blksize|1400|tsize|0|", .other),
            ("blksize|1024|tsize|0|", .grub), ("tsize|0|blksize|1024|", .other),
            ("tsize|0|blksize|1408|", .pxelinux), ("tsize|0|", .other),
            ("timeout|5|blksize|1468|", .uboot), ("timeout|5|tsize|0|blksize|1468|", .uboot),
            ("timeout|5|tsize|0|blksize|1468|windowsize|8|", .uboot),
            ("timeout|5|blksize|1468|windowsize|32|", .uboot),
            ("timeout|6|blksize|1468|", .other), ("timeout|5|blksize|1024|", .other),
            ("tsize|0|blksize|1468|windowsize|4|", .edk2Probe),
            ("tsize|0|blksize|1468|", .other),
            ("blksize|1468|windowsize|4|", .edk2Load), ("windowsize|4|blksize|1468|", .other),
            ("blksize|1468|windowsize|8|", .other),
            ("tsize|0|blksize|512|timeout|6|", .curl),
            ("tsize|0|blksize|1400|timeout|30|", .curl),
            ("tsize|0|blksize|512|timeout|6|windowsize|4|", .other),
            ("tsize|1|blksize|512|timeout|6|", .other), ("tsize|0|timeout|6|blksize|512|", .other),
            ("timeout|5|blksize|1432|tsize|0|", .barebox),
            ("timeout|5|blksize|512|tsize|0|", .barebox),
            ("timeout|5|blksize|1432|tsize|0|windowsize|128|", .barebox),
            ("timeout|5|blksize|1432|", .other),
            ("tsize|0|blksize|1456|windowsize|8|msftwindow|31416|", .windows),
            ("msftwindow|31416|", .windows),
        ] as [(String, Fingerprint)])
    func clientsAreToldByTheirOptions(options: String, fingerprint: Fingerprint) {
        #expect(Fingerprint(Options(wire: options)) == fingerprint)
    }
}
