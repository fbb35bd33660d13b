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
    /// Which options are present, first to last.
    package private(set) var order = Order()
    /// Whether the list had Microsoft's `msftwindow`. It tells Windows by, and is never written.
    package var hasMSFTWindow = false

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

        /// The name as the RFCs spell it, in lower case and without its NUL.
        package var wireName: StaticString {
            switch self {
            case .blksize: "blksize"
            case .windowsize: "windowsize"
            case .timeout: "timeout"
            case .tsize: "tsize"
            case .offset: "offset"
            case .length: "length"
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
        }
    }
}
