import TFTPWire
import Testing

@Suite struct FingerprintTests {
    @Test(
        arguments: [
            ("", .plain), ("multicast||x|y|", .plain), ("blksize|abc|", .plain),
            ("blksize|1432|tsize|0|", .ipxe), ("blksize|1432|tsize|0|multicast||", .ipxe),
            ("tsize|0|blksize|1432|", .other), ("blksize|1432|tsize|9|", .other),
            ("blksize|1432|", .other), ("blksize|1400|tsize|0|", .other),
            ("blksize|1024|tsize|0|", .grub),
            ("tsize|0|blksize|1408|", .pxelinux),
            ("timeout|5|blksize|1468|", .uboot), ("timeout|5|tsize|0|blksize|1468|", .uboot),
            ("timeout|5|tsize|0|blksize|1468|windowsize|8|", .uboot),
            ("timeout|5|blksize|1468|windowsize|32|", .uboot),
            ("timeout|6|blksize|1468|", .other), ("timeout|5|blksize|1024|", .other),
            ("tsize|0|blksize|1468|windowsize|4|", .edk2Probe),
            ("tsize|0|blksize|1468|", .lwip), ("tsize|0|blksize|1024|", .raspberryPi),
            ("tsize|0|", .busybox), ("tsize|0|blksize|1400|", .other),
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

    /// What the options leave open, the name tells.
    @Test(
        arguments: [
            ("tsize|0|", "start4.elf", .raspberryPi),
            ("tsize|0|", "12ab34cd/start.elf", .raspberryPi),
            ("tsize|0|blksize|1468|", "12ab34cd/config.txt", .raspberryPi),
            ("tsize|0|", "vmlinuz", .busybox), ("tsize|0|blksize|1468|", "Image", .lwip),
            ("blksize|1432|tsize|0|", "start4.elf", .ipxe), ("", "start4.elf", .plain),
        ] as [(String, String, Fingerprint)])
    func aRaspberryPiIsToldByItsNames(options: String, name: String, fingerprint: Fingerprint) {
        let bytes = Array(name.utf8)
        #expect(Fingerprint(Options(wire: options), filename: bytes.span.bytes) == fingerprint)
    }
}

/// What `serve --client-policy` shows and takes.
@Suite struct ClientPolicyTests {
    @Test func everyLineOfTheTableIsAnOverride() throws {
        var changed = ClientPolicies()
        try changed.override("all:first-repeat=300")
        try changed.override("GRUB:ask-by=window")
        try changed.override("ipxe:empty-tsize=omit")
        #expect(changed[.grub].firstRepeatMilliseconds == 300)
        #expect(changed[.grub].asksByLastBlock == false)
        #expect(changed[.ipxe].tellsEmptySize == false)
        var copy = ClientPolicies()
        for line in changed.table.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            for word in words.dropFirst() { try copy.override("\(words[0])\(word)") }
        }
        #expect(copy == changed)
    }

    @Test(
        arguments: [
            ("grub", .malformed("grub")), ("grub:x", .malformed("grub:x")),
            ("grubb:ask-by=window", .unknownKind("grubb")), ("grub:ask=window", .unknownKey("ask")),
            ("grub:ask-by=all", .invalidValue("all", allowed: "last-block or window")),
            ("grub:first-repeat=1", .invalidValue("1", allowed: "100 to 10000 (milliseconds)")),
        ] as [(String, ClientPolicyError)])
    func whatIsNoOverrideIsRefused(text: String, error: ClientPolicyError) {
        var policies = ClientPolicies()
        #expect(throws: error) { try policies.override(text) }
        #expect(policies == ClientPolicies())
    }
}
