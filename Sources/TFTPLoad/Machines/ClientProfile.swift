package import TFTPWire

/// What makes one client different from another: a plain value that the machines are stepped by.
///
/// The defaults are those of `plain` without options; `init(_:)` sets what each original has.
package struct ClientProfile: Sendable, BitwiseCopyable {
    package var kind: ClientKind
    /// The transfers of one boot. A stage that ends as it should is followed by the next.
    package private(set) var stages: InlineArray<3, Stage>
    package private(set) var stageCount: Int
    package var mode: TransferMode = .octet
    package var nameStyle: NameStyle = .asGiven
    /// When the request is sent again.
    package var requestRetry: RetrySchedule
    /// When the ACK is sent again.
    package var ackRetry: RetrySchedule
    /// Which of two numbers is taken for the older.
    package var order: BlockOrder = .circular
    package var staleReaction: StaleReaction = .ackPrevious
    package var aheadReaction: AheadReaction = .ackOnce
    package var timeoutAck: TimeoutAck = .current
    package var repeatedOACKReaction: RepeatedOACKReaction = .ackBeforeData
    package var strangerReaction: StrangerReaction = .ignore
    package var refusals: Refusals = []
    /// What is sent when an OACK is refused. Nothing, if nil.
    package var refusalReply: ErrorReply?
    /// What is sent behind the last ACK.
    package var closingReply: ErrorReply?
    package var traits: Traits = [.dataRestartsTimer]

    /// One transfer of a boot, each from a port of its own.
    package struct Stage: Equatable, Sendable, BitwiseCopyable {
        /// What is asked, in this order.
        package var options = Options()
        package var ending = Ending.load
        /// Whether the name is asked beneath a directory named after the machine's serial number.
        package var hasSerialPrefix = false

        package init(_ options: Options = Options(), _ ending: Ending = .load) {
            self.options = options
            self.ending = ending
        }
    }

    package enum Ending: Equatable, Sendable, BitwiseCopyable {
        /// The file is read.
        case load
        /// The file is read; should it be missing, the next stage follows.
        case loadOrMiss
        /// The first answer is all that is wanted: it is closed with this ERROR.
        case probe(ErrorReply, acksFirst: Bool)
    }

    package enum NameStyle: UInt8, Sendable, BitwiseCopyable {
        case asGiven
        /// One slash for several in a row (GRUB).
        case slashesCollapsed
        /// Backslashes for slashes, and one in front (Windows).
        case backslashes
    }

    package enum BlockOrder: UInt8, Sendable, BitwiseCopyable {
        /// Up to 32,767 numbers on are ahead.
        case circular
        /// A smaller number is older, whatever the cycle (GRUB).
        case numeric
        /// As numeric, but numbers from 32,768 on are negative, and so old (U-Boot).
        case signed
    }

    /// The answer to a block that is taken for an old one.
    package enum StaleReaction: UInt8, Sendable, BitwiseCopyable {
        case ignore
        /// ACK of the last block in order.
        case ackLast
        /// ACK of the very number that came (GRUB).
        case ackNumber
        /// ACK if it is the one that was acknowledged last, else nothing (RFC 7440 §4).
        case ackPrevious
        /// ACK if it is the one before, else ERROR 5 (lwIP).
        case ackPreviousElseError
    }

    /// The answer to a block that is taken for one ahead.
    package enum AheadReaction: UInt8, Sendable, BitwiseCopyable {
        case ignore
        /// ACK of the last block in order, for each.
        case ackEach
        /// ACK of the last block in order, once a gap.
        case ackOnce
        /// The block is kept, and the first gap is acknowledged for each (iPXE).
        case keepAndAck
        /// The block is kept if it is in the window (barebox).
        case keep
        /// ERROR 5 (lwIP).
        case error
    }

    /// What is acknowledged at a time-out, where ACKs are repeated.
    package enum TimeoutAck: UInt8, Sendable, BitwiseCopyable {
        /// What is here in order; a new window starts behind it.
        case current
        /// What is here in order; the next ACK stays due where it was (U-Boot).
        case currentInWindow
        /// What was acknowledged last (EDK II).
        case last
    }

    package enum RepeatedOACKReaction: UInt8, Sendable, BitwiseCopyable {
        case ignore
        /// ACK of 0 as long as no block is here.
        case ackBeforeData
        /// ACK of 0 at any time; the count continues (lwIP).
        case ackZero
        /// ACK of the first gap (iPXE).
        case ackCurrent
        /// ACK of 0, and the count starts again (GRUB, curl).
        case restart
        /// ACK of 0 as long as no block is here; later it ends the boot (U-Boot).
        case fail
    }

    package enum StrangerReaction: Equatable, Sendable, BitwiseCopyable {
        case ignore
        case reply(ErrorReply)
        /// curl ends the transfer.
        case fail
    }

    /// What a client does not accept in an OACK.
    package struct Refusals: OptionSet, Sendable, BitwiseCopyable {
        package let rawValue: UInt16

        package init(rawValue: UInt16) { self.rawValue = rawValue }

        package static let unasked = Refusals(rawValue: 1 << 0)
        /// Names that no RFC has.
        package static let unknown = Refusals(rawValue: 1 << 1)
        package static let raisedBlksize = Refusals(rawValue: 1 << 2)
        package static let raisedWindowsize = Refusals(rawValue: 1 << 3)
        package static let changedTimeout = Refusals(rawValue: 1 << 4)
        package static let blksizeBelow64 = Refusals(rawValue: 1 << 5)
        package static let emptyFile = Refusals(rawValue: 1 << 6)
        package static let missingTsize = Refusals(rawValue: 1 << 7)
        package static let unterminated = Refusals(rawValue: 1 << 8)
        package static let malformedPair = Refusals(rawValue: 1 << 9)
    }

    package struct Traits: OptionSet, Sendable, BitwiseCopyable {
        package let rawValue: UInt16

        package init(rawValue: UInt16) { self.rawValue = rawValue }

        /// Each new block starts the timer again. EDK II's runs from its latest ACK.
        package static let dataRestartsTimer = Traits(rawValue: 1 << 0)
        /// So does any packet at all.
        package static let anyPacketRestartsTimer = Traits(rawValue: 1 << 1)
        /// DATA in answer to the request is of no use.
        package static let requiresOACK = Traits(rawValue: 1 << 2)
        /// Options in capital letters are not seen.
        package static let lowerCaseOnly = Traits(rawValue: 1 << 3)
        /// Time-outs are counted from rollover to rollover, not from block to block (U-Boot).
        package static let countsTimeoutsPerCycle = Traits(rawValue: 1 << 4)
        /// A gap in front of block 1 counts as answered from the start (U-Boot).
        package static let firstGapAnswered = Traits(rawValue: 1 << 5)
        /// An ERROR behind the OACK is not seen, and the client waits on (PXELINUX).
        package static let ignoresErrorMidway = Traits(rawValue: 1 << 6)
        /// `msftwindow` is asked, and ACKs have a fifth byte.
        package static let msftwindow = Traits(rawValue: 1 << 7)
    }

    package init(kind: ClientKind, requestRetry: RetrySchedule, ackRetry: RetrySchedule? = nil) {
        self.kind = kind
        stages = InlineArray(repeating: Stage())
        stageCount = 1
        self.requestRetry = requestRetry
        self.ackRetry = ackRetry ?? requestRetry
    }
}

extension ClientProfile {
    /// Asks for another windowsize than the client does by itself, as its user can have it:
    /// U-Boot's `tftpwindowsize`, barebox' `global.tftp.windowsize`, `RamDiskTFTPWindowSize`.
    ///
    /// - Precondition: the client knows windows.
    package mutating func ask(windowsize: UInt16) {
        precondition(windowsize >= 1)
        precondition(kind.knowsWindows)
        stages[stageCount - 1].options.windowsize = windowsize > 1 ? UInt32(windowsize) : nil
    }

    /// Sets the transfers of one boot, first to last.
    mutating func setStages(_ first: Stage, _ second: Stage? = nil, _ third: Stage? = nil) {
        assert(second != nil || third == nil)
        stages = [first, second ?? Stage(), third ?? Stage()]
        stageCount = third != nil ? 3 : second != nil ? 2 : 1
    }
}
