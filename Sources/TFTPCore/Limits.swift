/// The bounds of one transfer table. Everything that can grow is here.
///
/// Times are nanoseconds. The rules of the boot clients give the reasons: which clients repeat by
/// themselves, and which depend on the server.
package enum Limits {
    /// Slots of one table: the slot number has 32 bits, the peer index twice as many places.
    package static let transfersMax = 1 << 22

    /// The least retransmission time-out. U-Boot notices a lost block only after five seconds.
    package static let timeoutMinNanoseconds: UInt64 = 200_000_000
    /// How often silence slows a window down: a client that sleeps would find a snail when it
    /// wakes.
    package static let slowdownsMax: UInt8 = 3
    /// The same where a part of a window was lost before: the tail of the next one may be as well.
    package static let timeoutShallowMinNanoseconds: UInt64 = 40_000_000
    /// How long at least an ACK from the middle of a repeated window may turn out to have been a
    /// gap.
    package static let trustNanoseconds: UInt64 = 10_000_000
    /// How long a client may be silent whose request came again a moment after its transfer began.
    package static let restartDoubtNanoseconds: UInt64 = 100_000_000
    /// So many ACKs of one block amid a window, one after the other, come from a receiver that
    /// acknowledges every block.
    static let singleAcksMin: UInt8 = 4
    /// Where the exponential back-off stops.
    package static let timeoutMaxNanoseconds: UInt64 = 3_000_000_000
    /// The same before anything was acknowledged.
    package static let timeoutUnconfirmedMaxNanoseconds: UInt64 = 12_000_000_000
    /// A pause between repeats: longer than the timers of clients, which are 5 s.
    package static let pauseNanoseconds: UInt64 = 6_500_000_000
    /// How long block 65535 is held back in lockstep: by then the client has repeated its ACK.
    package static let rolloverHoldNanoseconds: UInt64 = 3_000_000_000

    /// How long a client that has acknowledged something may be silent. GRUB stops to decompress,
    /// some firmware stops to write flash.
    package static let patienceNanoseconds: UInt64 = 120_000_000_000
    /// How long such a client is silent before its transfer may make way for a new one, where there
    /// is no room.
    package static let stallNanoseconds: UInt64 = 10_000_000_000
    /// How long an unacknowledged OACK or first block is repeated. The source address may be
    /// forged, so few packets are spent on it.
    package static let offerPatienceNanoseconds: UInt64 = 30_000_000_000
    /// How long a transfer waits for the store to open its file.
    package static let openingPatienceNanoseconds: UInt64 = 60_000_000_000
    /// Repeats of the last block before its lost ACK counts as received (many clients just boot).
    package static let lastBlockRetriesMax: UInt8 = 5
    /// The same where more blocks than the last are out: only every other repeat brings them all,
    /// and a client that misses one of them may say nothing to the others.
    package static let lastWindowRetriesMax: UInt8 = 8
    /// How long the last ACK is repeated on request after a transfer was received.
    package static let dallyNanoseconds: UInt64 = 4_000_000_000

    /// Payload of one window at most: how far a sender may have to go back.
    package static let windowByteCountMax: UInt32 = 4 << 20

    /// State of one transfer, in bytes, in all columns and the index together.
    package static let transferByteCountMax = 128
}
