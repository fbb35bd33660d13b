internal import TFTPWire

// The values are the defaults in each client's source. Raspberry Pi's and Windows' are closed: what
// they send is known from captures, their timers are not, and are marked so.

extension ClientProfile {
    /// What the original of `kind` does. `plain` comes without options here.
    package init(_ kind: ClientKind) {
        switch kind {
        case .ipxe: self = .ipxe
        case .grub: self = .grub
        case .pxelinux: self = .pxelinux
        case .uboot: self = .uboot
        case .ubootLwIP: self = .ubootLwIP
        case .edk2: self = .edk2
        case .curl: self = .curl
        case .busybox: self = .busybox
        case .barebox: self = .barebox
        case .rpi: self = .rpi
        case .windows: self = .windows
        case .hpa: self = .hpa
        case .plain: self = .plain()
        }
    }

    /// A correct client (RFC 1350, 2347, 2348, 2349, 7440) that asks for what is given here.
    ///
    /// It acknowledges a gap once, and the end of a window again when that end comes again. After a
    /// second of silence it repeats its request or its latest ACK, then after two, four and eight
    /// seconds, and times out at the sixth time (31 s). With `timeout` the period is that, six
    /// times.
    package static func plain(
        blksize: UInt16? = nil, windowsize: UInt16? = nil, timeout: UInt8? = nil
    ) -> ClientProfile {
        precondition(blksize.map(Grant.blksizeRange.contains) ?? true)
        precondition(windowsize != 0)
        precondition(timeout != 0)
        var retry = RetrySchedule(1000, .doubling, max: 8000, tries: 6)
        if let timeout { retry = RetrySchedule(UInt32(timeout) * 1000, tries: 6) }
        var profile = ClientProfile(kind: .plain, requestRetry: retry)
        var options = Options()
        options.blksize = blksize.map(UInt32.init)
        options.windowsize = windowsize.map(UInt32.init)
        options.timeout = timeout.map(UInt32.init)
        profile.setStages(Stage(options))
        profile.refusals = [.unasked, .raisedBlksize, .raisedWindowsize, .changedTimeout]
        profile.refusalReply = .badOption
        profile.strangerReaction = .reply(.unknownTID)
        return profile
    }

    /// Asks whether the file is there, and closes. Gives up after seven seconds without an answer.
    static var asking: ClientProfile {
        var profile = learning
        profile.setStages(Stage(.asking(tsize: 0), .probe(.userAborted, acksFirst: false)))
        return profile
    }

    /// Fetches the file before a storm. Gives up after seven seconds without an answer.
    static var learning: ClientProfile {
        var profile = plain(blksize: 1468)
        profile.requestRetry = RetrySchedule(1000, .doubling, tries: 3)
        return profile
    }

    /// Each packet is answered with the first gap, so a loss inside a burst causes many equal ACKs.
    /// The timer follows the round trip. Larger blocks and unknown options are accepted.
    private static var ipxe: ClientProfile {
        let retry = RetrySchedule(250, .adaptive, max: 10_000, tries: 6)
        var profile = ClientProfile(kind: .ipxe, requestRetry: retry)
        profile.setStages(Stage(.asking(blksize: 1432, tsize: 0)))
        profile.staleReaction = .ackLast
        profile.aheadReaction = .keepAndAck
        profile.repeatedOACKReaction = .ackCurrent
        return profile
    }

    /// Waits for DATA as long as it does for the OACK, but in silence.
    private static var grub: ClientProfile {
        let request = RetrySchedule(400, .adding(20), tries: 40)
        let ack = RetrySchedule(400, .adding(20), tries: 40, repeats: false)
        var profile = ClientProfile(kind: .grub, requestRetry: request, ackRetry: ack)
        profile.setStages(Stage(.asking(blksize: 1024, tsize: 0)))
        profile.nameStyle = .slashesCollapsed
        profile.order = .numeric
        profile.staleReaction = .ackNumber
        profile.aheadReaction = .ignore
        profile.repeatedOACKReaction = .restart
        // Without `tsize` it takes the file for empty.
        profile.refusals = [.missingTsize]
        profile.traits.insert([.requiresOACK, .lowerCaseOnly])
        return profile
    }

    private static var pxelinux: ClientProfile {
        var profile = ClientProfile(kind: .pxelinux, requestRetry: .pxelinux)
        profile.setStages(Stage(.asking(tsize: 0, blksize: 1408)))
        profile.staleReaction = .ackLast
        profile.aheadReaction = .ackEach
        profile.repeatedOACKReaction = .ignore
        profile.refusals = [.unasked, .unknown, .raisedBlksize, .blksizeBelow64, .emptyFile]
        profile.refusalReply = .protocolError
        profile.closingReply = .fileClosed
        profile.traits.insert(.ignoresErrorMidway)
        return profile
    }

    /// After "Retry count exceeded" the original starts again for ever; here the boot has failed.
    private static var uboot: ClientProfile {
        var profile = ClientProfile(kind: .uboot, requestRetry: RetrySchedule(5000, tries: 11))
        profile.setStages(Stage(.asking(timeout: 5, tsize: 0, blksize: 1468)))
        profile.order = .signed
        profile.staleReaction = .ignore
        profile.aheadReaction = .ackOnce
        profile.timeoutAck = .currentInWindow
        profile.repeatedOACKReaction = .fail
        profile.refusals = [.raisedBlksize, .changedTimeout]
        profile.refusalReply = .negotiationFailed
        profile.traits.insert([.countsTimeoutsPerCycle, .firstGapAnswered])
        return profile
    }

    /// The original says ERROR 4 to an OACK it does not like and waits on; the server is gone then,
    /// so here the boot has failed.
    private static var ubootLwIP: ClientProfile {
        let request = RetrySchedule(1000, tries: 6)
        let ack = RetrySchedule(10_000, tries: 1, repeats: false)
        var profile = ClientProfile(kind: .ubootLwIP, requestRetry: request, ackRetry: ack)
        profile.setStages(Stage(.asking(tsize: 0, blksize: 1468)))
        profile.staleReaction = .ackPreviousElseError
        profile.aheadReaction = .error
        profile.repeatedOACKReaction = .ackZero
        profile.strangerReaction = .reply(.oneConnection)
        profile.refusals = [.unasked, .unknown, .raisedBlksize]
        profile.refusalReply = .illegalOperation
        profile.traits.insert(.anyPacketRestartsTimer)
        return profile
    }

    /// The probe asks for the size and is closed in place of ACK 0.
    private static var edk2: ClientProfile {
        var profile = ClientProfile(kind: .edk2, requestRetry: RetrySchedule(4000, tries: 6))
        profile.setStages(
            Stage(
                .asking(tsize: 0, blksize: 1468, windowsize: 4),
                .probe(.userAborted, acksFirst: false)),
            Stage(.asking(blksize: 1468, windowsize: 4)))
        profile.staleReaction = .ackLast
        profile.aheadReaction = .ackEach
        profile.timeoutAck = .last
        profile.refusals = [
            .unasked, .raisedBlksize, .raisedWindowsize, .changedTimeout, .unterminated,
        ]
        profile.refusalReply = .malformattedOACK
        profile.traits = []
        return profile
    }

    private static var curl: ClientProfile {
        var profile = ClientProfile(kind: .curl, requestRetry: RetrySchedule(6000, tries: 50))
        profile.setStages(Stage(.asking(tsize: 0, blksize: 512, timeout: 6)))
        profile.aheadReaction = .ignore
        profile.repeatedOACKReaction = .restart
        profile.strangerReaction = .fail
        profile.refusals = [.raisedBlksize, .emptyFile, .malformedPair]
        return profile
    }

    private static var busybox: ClientProfile {
        let retry = RetrySchedule(100, .byHalf, max: 2000, tries: 12)
        var profile = ClientProfile(kind: .busybox, requestRetry: retry)
        profile.setStages(Stage(.asking(tsize: 0)))
        profile.staleReaction = .ignore
        profile.aheadReaction = .ignore
        profile.repeatedOACKReaction = .ignore
        profile.refusals = [.raisedBlksize]
        profile.refusalReply = .badOption
        profile.traits.insert(.anyPacketRestartsTimer)
        return profile
    }

    /// The probe finds out whether the file is there (`getattr`): it acknowledges the OACK and
    /// closes at once. The window is half of the largest that is compiled in.
    private static var barebox: ClientProfile {
        var profile = ClientProfile(kind: .barebox, requestRetry: RetrySchedule(1000, tries: 15))
        profile.setStages(
            Stage(
                .asking(timeout: 5, blksize: 512, tsize: 0), .probe(.wordless, acksFirst: true)),
            Stage(.asking(timeout: 5, blksize: 1432, tsize: 0, windowsize: 64)))
        profile.staleReaction = .ignore
        profile.aheadReaction = .keep
        profile.repeatedOACKReaction = .ignore
        profile.refusals = [.raisedBlksize, .raisedWindowsize]
        return profile
    }

    /// The timers are assumed. Should the file be there beneath the serial number, it is read from
    /// there.
    private static var rpi: ClientProfile {
        var profile = ClientProfile(kind: .rpi, requestRetry: RetrySchedule(1000, tries: 5))
        let options = Options.asking(tsize: 0, blksize: 1468)
        var first = Stage(options, .loadOrMiss)
        first.hasSerialPrefix = true
        profile.setStages(
            first, Stage(options, .probe(.earlyTerminate, acksFirst: false)), Stage(options))
        profile.aheadReaction = .ignore
        return profile
    }

    /// The timers are assumed, and that a gap is answered as RFC 7440 has it.
    private static var windows: ClientProfile {
        let retry = RetrySchedule(1000, .doubling, max: 8000, tries: 5)
        var profile = ClientProfile(kind: .windows, requestRetry: retry)
        profile.setStages(
            Stage(.asking(tsize: 0), .probe(.aborted, acksFirst: false)),
            Stage(.asking(tsize: 0, blksize: 1456, windowsize: 4)))
        profile.nameStyle = .backslashes
        profile.refusals = [.missingTsize]
        profile.traits.insert(.msftwindow)
        return profile
    }

    private static var hpa: ClientProfile {
        var profile = ClientProfile(kind: .hpa, requestRetry: RetrySchedule(5000, tries: 5))
        profile.mode = .netascii
        profile.aheadReaction = .ignore
        profile.repeatedOACKReaction = .ignore
        return profile
    }
}

// The order of the labels is the order on the wire.
extension Options {
    fileprivate static func asking(
        timeout: UInt32? = nil, tsize: UInt64? = nil, blksize: UInt32? = nil,
        windowsize: UInt32? = nil
    ) -> Options {
        var options = Options()
        options.timeout = timeout
        options.tsize = tsize
        options.blksize = blksize
        options.windowsize = windowsize
        return options
    }

    fileprivate static func asking(tsize: UInt64, blksize: UInt32, timeout: UInt32) -> Options {
        var options = Options.asking(tsize: tsize, blksize: blksize)
        options.timeout = timeout
        return options
    }

    fileprivate static func asking(
        timeout: UInt32? = nil, blksize: UInt32, tsize: UInt64, windowsize: UInt32? = nil
    ) -> Options {
        var options = Options.asking(timeout: timeout, blksize: blksize)
        options.tsize = tsize
        options.windowsize = windowsize
        return options
    }
}
