/// A client that receives windows, without a socket and without a clock: what it makes of each
/// DATA.
///
/// The kinds differ in what they say to a block that they did not expect, and in when they count a
/// window from.
struct WindowedClient {
    enum Kind: CaseIterable {
        /// Acknowledges what it has at every unexpected block, and counts a window from each ACK
        /// that it sends.
        case edk2
        /// Ignores old blocks, tells of each gap once, and asks again only after five seconds.
        case uBoot
        /// Tells of each gap once, and acknowledges the end of its last window again (RFC 7440 §4).
        case rfc7440
        /// Acknowledges every block of a window, and nothing that it did not expect (py3tftp).
        case everyBlock
    }

    let kind: Kind
    let windowsize: UInt64
    let last: UInt64
    private(set) var received: UInt64 = 0
    /// The block that completes the window.
    private var windowEnd: UInt64
    private var toldGap: UInt64?

    init(kind: Kind, windowsize: UInt64, last: UInt64) {
        self.kind = kind
        self.windowsize = windowsize
        self.last = last
        windowEnd = windowsize
        // U-Boot takes the loss of the first block for one that it has told of.
        toldGap = kind == .uBoot ? 0 : nil
    }

    /// After this time without a packet it repeats its latest ACK.
    var patienceNanoseconds: UInt64 {
        switch kind {
        case .edk2: 4_000_000_000
        case .uBoot: 5_000_000_000
        case .rfc7440: 1_000_000_000
        case .everyBlock: 500_000_000
        }
    }

    /// DATA `block` arrives. Returns the block that is acknowledged, if any.
    mutating func receive(_ block: UInt64) -> UInt64? {
        guard block != received + 1 else {
            received = block
            let isWhole = received == windowEnd || received == last
            guard isWhole || kind == .everyBlock else { return nil }
            return acknowledge()
        }
        switch kind {
        case .edk2: return acknowledge()
        case .everyBlock: return nil
        case .uBoot:
            guard block > received, toldGap != received, received < 32_768 else { return nil }
            toldGap = received
            return acknowledge()
        case .rfc7440:
            let isGap = block > received && toldGap != received
            let isEndAgain = block == received && windowEnd == received + windowsize
            guard isGap || isEndAgain else { return nil }
            if isGap { toldGap = received }
            return acknowledge()
        }
    }

    private mutating func acknowledge() -> UInt64 {
        windowEnd = received + windowsize
        return received
    }
}
