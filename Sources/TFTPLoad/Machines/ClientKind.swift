/// The boot clients that a machine can imitate.
package enum ClientKind: String, CaseIterable, Sendable, BitwiseCopyable {
    case ipxe
    case grub
    case pxelinux
    case uboot
    case ubootLwIP = "uboot-lwip"
    case edk2
    case curl
    case busybox
    case barebox
    case rpi
    case windows
    case hpa
    /// No firmware: a correct RFC 7440 client with the options that it is told.
    case plain
}

extension ClientKind {
    /// Whether it can ask for a windowsize (RFC 7440).
    package var knowsWindows: Bool {
        switch self {
        case .uboot, .edk2, .barebox, .windows, .plain: true
        case .ipxe, .grub, .pxelinux, .ubootLwIP, .curl, .busybox, .rpi, .hpa: false
        }
    }

    /// What it sends, what timer it keeps, and how it answers what it does not expect: one line.
    package var summary: String {
        switch self {
        case .ipxe:
            "blksize 1432, tsize; 0.25 s doubling; keeps blocks ahead, ACKs the first gap each time"
        case .grub:
            "blksize 1024, tsize; needs an OACK; 40 requests, never repeats an ACK"
        case .pxelinux:
            "tsize, blksize 1408; 110 ms growing; ACKs the last block for any other; ends with ERROR 0"
        case .uboot:
            "timeout 5, tsize, blksize 1468; 5 s, 10 times; one ACK a gap, none in the upper half"
        case .ubootLwIP:
            "tsize, blksize 1468; request each 1 s, never repeats an ACK; ERROR 5 to a wrong block"
        case .edk2:
            "probe ended by ERROR 8, then blksize 1468, windowsize 4; 4 s; ACKs for each wrong block"
        case .curl:
            "tsize, blksize 512, timeout 6; 6 s, 50 times; an empty tsize and a strange port are fatal"
        case .busybox:
            "tsize; 100 ms growing to 2 s, 12 times; a repeated block gets no answer"
        case .barebox:
            "probe ended by ERROR 0, then timeout 5, blksize 1432, tsize, windowsize 64; 1 s; no NACK"
        case .rpi:
            "SERIAL/NAME that misses, probe ended by ERROR 0, then tsize, blksize 1468; 1 s"
        case .windows:
            "tsize probe, then blksize 1456, windowsize 4, msftwindow; backslashes; ACKs of 5 bytes"
        case .hpa:
            "no options, netascii; 5 s, 5 times; ACKs the previous block again"
        case .plain:
            "blksize, windowsize and timeout as given, else none; 1 s doubling; RFC 7440"
        }
    }
}
