/// What a bad network does to the packets between clients and server, each way by itself.
package struct Impairment: Sendable {
    /// Client to server.
    package var up = Way()
    /// Server to client.
    package var down = Way()
    /// The specification that it was read from.
    package private(set) var text = ""

    package init() {}

    init(up: Way, down: Way, text: String) {
        self.up = up
        self.down = down
        self.text = text
    }

    /// One direction. All clients share it, as they share a server's cable. A share is 0 to 1.
    package struct Way: Sendable, Equatable {
        /// The share of frames that never arrive.
        package var loss = 0.0
        /// How many frames in a row a loss takes on average; nil: each is lost or not by itself.
        package var burst: Double?
        /// The share of packets that arrive twice.
        package var duplicate = 0.0
        /// The share of packets that are held back, so that later ones overtake them.
        package var reorder = 0.0
        package var reorderNanoseconds = Way.reorderNanosecondsDefault
        package var delayNanoseconds: UInt64 = 0
        /// Up to this much more delay, evenly spread; packets overtake each other by it.
        package var jitterNanoseconds: UInt64 = 0
        /// Bits on the wire in a second; nil: without limit.
        package var bitsPerSecond: UInt64?
        /// Frames that wait for their turn on the wire; where they fill it, what comes is dropped.
        package var queueMax = Way.queueMaxDefault

        package init() {}

        package static let reorderNanosecondsDefault: UInt64 = 1_000_000
        package static let queueMaxDefault = 64

        /// Bounds, so that what waits on the way has one too.
        static let nanosecondsMax: UInt64 = 10_000_000_000
        static let bitsPerSecondMin: UInt64 = 1_000
        static let bitsPerSecondMax: UInt64 = 1_000_000_000_000
        static let queueLimit = 65_536
        static let burstMax = 1_000.0
    }
}

/// What is wrong with a specification: one sentence.
package struct ImpairmentError: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
