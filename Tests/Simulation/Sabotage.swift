/// A mistake made on purpose: a checker that does not find it is worth nothing.
package enum Sabotage: CaseIterable, Sendable {
    case none
    /// The network changes a byte of one payload.
    case flippedByte
    /// The server starts its window again at every ACK that says nothing new.
    case eagerRewind
    /// The server forgets to give the slot of an upload back.
    case forgottenSlot
    /// The server sends a packet to somebody who never sent one.
    case strayPacket
    /// The server repeats the OACK at each ACK.
    case repeatedOACK
}
