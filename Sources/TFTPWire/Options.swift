/// The options of one RRQ, WRQ or OACK (RFC 2347), and the order in which they stand there.
///
/// These are the values that were *asked* or *granted*, not what they come to: an absent `blksize`
/// is nil here and 512 in a `Grant`. Setting an absent option puts it last, setting nil takes it
/// out.
///
/// Invariant: `order` names exactly the options that are present, each once, and the value of an
/// absent option is 0. So two equal lists are equal bit by bit.
package struct Options: Equatable, Sendable, BitwiseCopyable {
    /// Value of `tsize` (RFC 2349), or 0 while it is absent.
    private var tsizeValue: UInt64 = 0
    /// Value of `offset`, or 0 while it is absent.
    private var offsetValue: UInt64 = 0
    /// Value of `length`, or 0 while it is absent.
    private var lengthValue: UInt64 = 0
    /// Value of `blksize` (RFC 2348), or 0 while it is absent.
    private var blksizeValue: UInt32 = 0
    /// Value of `windowsize` (RFC 7440), or 0 while it is absent.
    private var windowsizeValue: UInt32 = 0
    /// Value of `timeout` in seconds (RFC 2349), or 0 while it is absent.
    private var timeoutValue: UInt32 = 0
    /// Value of tftp-hpa's `blksize2`, or 0 while it is absent.
    private var blksize2Value: UInt32 = 0
    /// Value of tftp-hpa's `utimeout` in microseconds, or 0 while it is absent.
    private var utimeoutValue: UInt32 = 0
    /// Value of tftp-hpa's `rollover`, or 0 while it is absent.
    private var rolloverValue: UInt16 = 0
    /// Value of Microsoft's `msftwindow`, or 0 while it is absent.
    private var msftwindowValue: UInt16 = 0
    /// Which options are present, first to last.
    package private(set) var order = Order()

    /// No options.
    package init() {}

    /// An option that Bootstorm knows.
    package enum Name: UInt8, CaseIterable, Sendable, BitwiseCopyable {
        case blksize = 1
        case windowsize = 2
        case timeout = 3
        case tsize = 4
        case offset = 5
        case length = 6
        case blksize2 = 7
        case utimeout = 8
        case rollover = 9
        case msftwindow = 10

        /// The name as the RFCs and its makers spell it, in lower case and without its NUL.
        package var wireName: StaticString {
            switch self {
            case .blksize: "blksize"
            case .windowsize: "windowsize"
            case .timeout: "timeout"
            case .tsize: "tsize"
            case .offset: "offset"
            case .length: "length"
            case .blksize2: "blksize2"
            case .utimeout: "utimeout"
            case .rollover: "rollover"
            case .msftwindow: "msftwindow"
            }
        }

        /// The option of this name in whatever mix of cases (RFC 2347).
        package init?(named bytes: RawSpan) {
            if bytes.equalsIgnoringCase("blksize") {
                self = .blksize
            } else if bytes.equalsIgnoringCase("windowsize") {
                self = .windowsize
            } else if bytes.equalsIgnoringCase("timeout") {
                self = .timeout
            } else if bytes.equalsIgnoringCase("tsize") {
                self = .tsize
            } else if bytes.equalsIgnoringCase("offset") {
                self = .offset
            } else if bytes.equalsIgnoringCase("length") {
                self = .length
            } else {
                self.init(rareNamed: bytes)
            }
        }

        /// An option that few clients ask for, and no RFC describes.
        private init?(rareNamed bytes: RawSpan) {
            if bytes.equalsIgnoringCase("msftwindow") {
                self = .msftwindow
            } else if bytes.equalsIgnoringCase("blksize2") {
                self = .blksize2
            } else if bytes.equalsIgnoringCase("utimeout") {
                self = .utimeout
            } else if bytes.equalsIgnoringCase("rollover") {
                self = .rollover
            } else {
                return nil
            }
        }
    }
}

extension Options {
    /// Whether no option is set.
    package var isEmpty: Bool { order.isEmpty }
    /// How many options are set.
    package var count: Int { order.count }

    /// The stored value of an option that is set to `value`, whose place in `order` follows.
    private mutating func note<Value: FixedWidthInteger>(_ name: Name, _ value: Value?) -> Value {
        order.update(name, isPresent: value != nil)
        return value ?? 0
    }

    /// The number of bytes in a DATA payload (RFC 2348). A request above 2³²−1 reads as 2³²−1.
    package var blksize: UInt32? {
        get { order.contains(.blksize) ? blksizeValue : nil }
        set { blksizeValue = note(.blksize, newValue) }
    }

    /// The number of blocks in a window (RFC 7440). A request above 2³²−1 reads as 2³²−1.
    package var windowsize: UInt32? {
        get { order.contains(.windowsize) ? windowsizeValue : nil }
        set { windowsizeValue = note(.windowsize, newValue) }
    }

    /// Seconds until a retransmit (RFC 2349). A request above 2³²−1 reads as 2³²−1.
    package var timeout: UInt32? {
        get { order.contains(.timeout) ? timeoutValue : nil }
        set { timeoutValue = note(.timeout, newValue) }
    }

    /// The number of bytes in the file (RFC 2349); 0 in an RRQ asks for it.
    package var tsize: UInt64? {
        get { order.contains(.tsize) ? tsizeValue : nil }
        set { tsizeValue = note(.tsize, newValue) }
    }

    /// Where in the file DATA 1 begins, in bytes. An option of our own, for RRQ in mode octet: it
    /// asks for a part of a file.
    package var offset: UInt64? {
        get { order.contains(.offset) ? offsetValue : nil }
        set { offsetValue = note(.offset, newValue) }
    }

    /// How many bytes are sent at most, of our own as well; without it the part ends with the file.
    package var length: UInt64? {
        get { order.contains(.length) ? lengthValue : nil }
        set { lengthValue = note(.length, newValue) }
    }

    /// A blksize that the server may lower to powers of two only (tftp-hpa).
    package var blksize2: UInt32? {
        get { order.contains(.blksize2) ? blksize2Value : nil }
        set {
            blksize2Value = newValue ?? 0
            order.update(.blksize2, isPresent: newValue != nil)
        }
    }

    /// Microseconds until a retransmit (tftp-hpa).
    package var utimeout: UInt32? {
        get { order.contains(.utimeout) ? utimeoutValue : nil }
        set {
            utimeoutValue = newValue ?? 0
            order.update(.utimeout, isPresent: newValue != nil)
        }
    }

    /// The block number that follows 65535 (tftp-hpa).
    package var rollover: UInt16? {
        get { order.contains(.rollover) ? rolloverValue : nil }
        set {
            rolloverValue = newValue ?? 0
            order.update(.rollover, isPresent: newValue != nil)
        }
    }

    /// Microsoft's variable window: `Grant.msftwindowAsked` in a request, `Grant.msftwindowGranted`
    /// in the OACK. From then on each ACK has a fifth byte, the size of the next window.
    package var msftwindow: UInt16? {
        get { order.contains(.msftwindow) ? msftwindowValue : nil }
        set {
            msftwindowValue = newValue ?? 0
            order.update(.msftwindow, isPresent: newValue != nil)
        }
    }

    /// Whether another blksize than the default is asked for, or granted.
    package var asksForBlksize: Bool { order.contains(.blksize) || order.contains(.blksize2) }

    /// Whether a part of a file is asked for, or granted.
    package var isPartial: Bool { order.contains(.offset) || order.contains(.length) }

    /// The value of any option.
    package subscript(_ name: Name) -> UInt64? {
        switch name {
        case .blksize: blksize.map(UInt64.init)
        case .windowsize: windowsize.map(UInt64.init)
        case .timeout: timeout.map(UInt64.init)
        case .tsize: tsize
        case .offset: offset
        case .length: length
        case .blksize2: blksize2.map(UInt64.init)
        case .utimeout: utimeout.map(UInt64.init)
        case .rollover: rollover.map(UInt64.init)
        case .msftwindow: msftwindow.map(UInt64.init)
        }
    }

    /// Sets any option. A value too large for its field is set as the largest it holds.
    package mutating func set(_ name: Name, to value: UInt64?) {
        switch name {
        case .blksize: blksize = value.map(UInt32.init(clamping:))
        case .windowsize: windowsize = value.map(UInt32.init(clamping:))
        case .timeout: timeout = value.map(UInt32.init(clamping:))
        case .tsize: tsize = value
        case .offset: offset = value
        case .length: length = value
        case .blksize2: blksize2 = value.map(UInt32.init(clamping:))
        case .utimeout: utimeout = value.map(UInt32.init(clamping:))
        case .rollover: rollover = value.map(UInt16.init(clamping:))
        case .msftwindow: msftwindow = value.map(UInt16.init(clamping:))
        }
    }
}
