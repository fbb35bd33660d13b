/// What a transfer runs with once its options are settled, at either end.
package struct Grant: Equatable, Sendable, BitwiseCopyable {
    /// Exactly the options of the OACK, without `seal`. If empty, no OACK is sent, unless the
    /// transfer is sealed.
    package var options = Options()
    /// The payload of every DATA but the last. 512 unless an option says otherwise (RFC 1350 §2).
    package var blksize: UInt16 = Grant.blksizeDefault
    /// How many blocks go out before an ACK is due. 1 unless an option says otherwise.
    package var windowsize: UInt16 = 1
    /// What both ends agreed to wait before a retransmit by `timeout`, or 0 if nothing was agreed.
    package var timeoutSeconds: UInt8 = 0
    /// What follows block 65535 on the wire.
    package var rollover = BlockNumber.Rollover.toZero
    /// Whether packets are sealed, and the OACK has what the client needs for that.
    package var isSealed = false

    /// The defaults: no options.
    package init() {}

    /// Whether the answer to the request is an OACK.
    package var hasOACK: Bool { isSealed || !options.isEmpty }

    /// Which bytes of a file of `byteCount` bytes are sent; all of them unless an option says
    /// otherwise.
    package func part(of byteCount: UInt64) -> Range<UInt64> {
        // The part was cut out before it was sealed.
        if isSealed { return 0..<byteCount }
        let begin = options.offset ?? 0
        return begin..<(options.length.map { begin + $0 } ?? byteCount)
    }

    /// Microseconds that both ends agreed to wait before a retransmit, by `timeout` or `utimeout`;
    /// the shorter counts. 0 if nothing was agreed.
    package var timeoutMicroseconds: UInt32 {
        let seconds = UInt32(timeoutSeconds) * 1_000_000
        guard let utimeout = options.utimeout else { return seconds }
        return seconds > 0 ? min(seconds, utimeout) : utimeout
    }

    /// Receiving: how many bytes will come, as far as the OACK tells.
    package var partByteCount: UInt64? {
        options.length ?? options.tsize.map { $0 - min($0, options.offset ?? 0) }
    }

    /// The blksize where none is negotiated (RFC 1350 §5).
    package static var blksizeDefault: UInt16 { 512 }
    /// The range of a blksize (RFC 2348).
    package static var blksizeRange: ClosedRange<UInt16> { 8...65464 }
    /// The range of a timeout in seconds (RFC 2349).
    package static var timeoutSecondsRange: ClosedRange<UInt32> { 1...255 }
    /// The range of a `utimeout` in microseconds (tftp-hpa).
    package static var utimeoutRange: ClosedRange<UInt32> { 10_000...255_000_000 }
    /// The `msftwindow` of a request.
    package static var msftwindowAsked: UInt16 { 31416 }
    /// The `msftwindow` of an OACK.
    package static var msftwindowGranted: UInt16 { 27182 }
    /// The largest window that an ACK's fifth byte can ask for.
    package static var variableWindowMax: UInt16 { 255 }
}

/// How far a server goes along with what is asked.
package struct GrantLimits: Equatable, Sendable, BitwiseCopyable {
    /// The largest blksize, for instance what fits the path MTU. In `Grant.blksizeRange`.
    package let blksizeMax: UInt16
    /// The largest windowsize, at least 1.
    package let windowsizeMax: UInt16
    /// How many payload bytes a window may come to, or nil. A window of one block is always
    /// granted.
    package let windowByteCountMax: UInt32?
    /// Whether an empty file has a `tsize`.
    package let tellsEmptySize: Bool

    /// Limits that are as wide as the RFCs allow, unless told otherwise.
    package init(
        blksizeMax: UInt16 = Grant.blksizeRange.upperBound,
        windowsizeMax: UInt16 = .max,
        windowByteCountMax: UInt32? = nil,
        tellsEmptySize: Bool = true
    ) {
        precondition(Grant.blksizeRange.contains(blksizeMax))
        precondition(windowsizeMax >= 1)
        self.blksizeMax = blksizeMax
        self.windowsizeMax = windowsizeMax
        self.windowByteCountMax = windowByteCountMax
        self.tellsEmptySize = tellsEmptySize
    }

    /// The largest windowsize for blocks of `blksize` bytes.
    func windowsizeMax(blksize: UInt16) -> UInt16 {
        guard let windowByteCountMax else { return windowsizeMax }
        let fitting = UInt16(clamping: windowByteCountMax / UInt32(blksize))
        return max(1, min(windowsizeMax, fitting))
    }
}
