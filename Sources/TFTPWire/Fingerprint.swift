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
    /// No option that Bootstorm knows.
    case plain
}

extension Fingerprint {
    package init(_ options: Options) {
        if options.hasMSFTWindow {
            self = .windows
            return
        }
        switch options.order[0] {
        case nil: self = .plain
        case .blksize: self = Fingerprint(startingWithBlksize: options)
        case .tsize: self = Fingerprint(startingWithTsize: options)
        case .timeout: self = Fingerprint(startingWithTimeout: options)
        case .windowsize, .offset, .length: self = .other
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
        // `--tftp-blksize` and `--connect-timeout` change the values; nobody else has this order.
        case (Options.Order(.tsize, .blksize, .timeout), _, _): self = .curl
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
