/// Which client a request looks like, told by its options, their values and their order.
///
/// A guess for metrics and for a few kindnesses; a wrong one must never break a transfer. The
/// values are the defaults in each client's source.
package enum Fingerprint: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    case other
    case ipxe
    case grub
    case pxelinux
    case uboot
    /// EDK II asking for the size only: it ends this transfer with ERROR 8.
    case edk2Probe
    case edk2Load
    case curl
    case barebox
    case windows
    case busybox
    /// lwIP's own client, and U-Boot with it.
    case lwip
    case raspberryPi
    /// No option that Bootstorm knows.
    case plain
}

extension Fingerprint {
    /// By the options, and where these leave two of them open, by what is asked for.
    package init(_ options: Options, filename: RawSpan) {
        let kind = Fingerprint(options)
        let isOpen = kind == .busybox || kind == .lwip
        self = isOpen && Fingerprint.isRaspberryPiName(filename) ? .raspberryPi : kind
    }

    /// Whether the name is one of those that a Raspberry Pi begins with, at the root or below its
    /// serial number.
    private static func isRaspberryPiName(_ name: RawSpan) -> Bool {
        var rest = name
        if name.byteCount > 9, name.byte(at: 8) == UInt8(ascii: "/"),
            (0..<8).allSatisfy({ isHexDigit(name.byte(at: $0)) })
        {
            rest = name.extracting(droppingFirst: 9)
        }
        // One by one: an array would be made anew for each request.
        return isNamed(rest, "start.elf") || isNamed(rest, "start4.elf")
            || isNamed(rest, "start_cd.elf")
            || isNamed(rest, "start4cd.elf") || isNamed(rest, "fixup.dat")
            || isNamed(rest, "fixup4.dat")
            || isNamed(rest, "config.txt") || isNamed(rest, "cmdline.txt")
            || isNamed(rest, "bootcode.bin")
            || isNamed(rest, "bootsig.bin") || isNamed(rest, "recovery.elf")
            || isNamed(rest, "recover4.elf")
            || isNamed(rest, "dt-blob.bin") || isNamed(rest, "pieeprom.sig")
            || isNamed(rest, "pieeprom.upd")
            || isNamed(rest, "boot.img") || isNamed(rest, "boot.sig")
    }

    private static func isNamed(_ name: RawSpan, _ known: StaticString) -> Bool {
        name.isEqual(to: known.rawSpan)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
        default: false
        }
    }

    /// The client's name as its makers spell it; nil where the request tells none.
    package var clientName: String? {
        switch self {
        case .other, .plain: nil
        case .ipxe: "iPXE"
        case .grub: "GRUB"
        case .pxelinux: "PXELINUX"
        case .uboot: "U-Boot"
        case .edk2Probe: "EDK II (size)"
        case .edk2Load: "EDK II"
        case .curl: "curl"
        case .barebox: "barebox"
        case .windows: "Windows"
        case .busybox: "busybox"
        case .lwip: "lwIP"
        case .raspberryPi: "Raspberry Pi"
        }
    }

    /// By the options alone.
    package init(_ options: Options) {
        if options.order.contains(.msftwindow) {
            self = .windows
            return
        }
        switch options.order[0] {
        case nil: self = .plain
        case .blksize: self = Fingerprint(startingWithBlksize: options)
        case .tsize: self = Fingerprint(startingWithTsize: options)
        case .timeout: self = Fingerprint(startingWithTimeout: options)
        case .windowsize, .offset, .length, .blksize2, .utimeout, .rollover, .msftwindow:
            self = .other
        }
    }

    private init(startingWithBlksize options: Options) {
        switch (options.order, options.blksize, options.tsize, options.windowsize) {
        case (Options.Order(.blksize, .tsize), 1432, 0, _): self = .ipxe
        case (Options.Order(.blksize, .tsize), 1024, 0, _): self = .grub
        case (Options.Order(.blksize, .windowsize), 1468, _, 4): self = .edk2Load
        default: self = .other
        }
    }

    /// All of these ask for the size, so the value of `tsize` is 0. A WRQ tells it, and is `other`.
    private init(startingWithTsize options: Options) {
        guard options.tsize == 0 else {
            self = .other
            return
        }
        switch (options.order, options.blksize, options.windowsize) {
        case (Options.Order(.tsize, .blksize), 1408, _): self = .pxelinux
        case (Options.Order(.tsize, .blksize, .windowsize), 1468, 4): self = .edk2Probe
        // `--tftp-blksize` and `--connect-timeout` change the values. Only curl has this order.
        case (Options.Order(.tsize, .blksize, .timeout), _, _): self = .curl
        // The boot ROM of a Raspberry Pi asks the same; its names tell.
        case (Options.Order(.tsize), _, _): self = .busybox
        case (Options.Order(.tsize, .blksize), 1024, _): self = .raspberryPi
        case (Options.Order(.tsize, .blksize), 1468, _): self = .lwip
        default: self = .other
        }
    }

    /// U-Boot and barebox leave out a windowsize of 1, and older ones of U-Boot a tsize.
    private init(startingWithTimeout options: Options) {
        guard options.timeout == 5 else {
            self = .other
            return
        }
        switch (options.order, options.blksize) {
        case (Options.Order(.timeout, .blksize), 1468),
            (Options.Order(.timeout, .tsize, .blksize), 1468),
            (Options.Order(.timeout, .blksize, .windowsize), 1468),
            (Options.Order(.timeout, .tsize, .blksize, .windowsize), 1468):
            self = .uboot
        // 512 when it only asks for the attributes of a file.
        case (Options.Order(.timeout, .blksize, .tsize), 1432),
            (Options.Order(.timeout, .blksize, .tsize), 512),
            (Options.Order(.timeout, .blksize, .tsize, .windowsize), 1432),
            (Options.Order(.timeout, .blksize, .tsize, .windowsize), 512):
            self = .barebox
        default:
            self = .other
        }
    }
}
