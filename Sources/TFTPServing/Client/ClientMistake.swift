/// A mistake that the client makes on purpose, so that the simulator shows that it would find one
/// there. Release builds make none.
package enum ClientMistake: CaseIterable, Sendable {
    case none
    /// Takes an answer of another host.
    case acceptsStranger
    /// Keeps blocks that there is no room for.
    case overrunsContent
    /// Never sends an ACK that waited for room.
    case forgetsHeldACK
    /// Never looks for content again that was not there.
    case forgetsToResume
    /// Puts a block beyond a gap where the missing one belongs.
    case misplacesAhead
    /// Hands over a gap together with what is beyond it.
    case handsOverGap
    /// Takes a block of an upload for the last one before all of it is there.
    case endsEarly
    /// Ends when a server refuses its options.
    case neverStartsAgain
    /// Asks with options for ever.
    case alwaysAsksOptions
    /// Keeps the socket of a transfer that has ended.
    case keepsSockets
    /// Says of a download that it is complete without its end.
    case forgetsLastBlock
    /// Takes block 0 behind block 65535 for an old one.
    case forgetsRollover
}

extension TransferClient {
    /// Has the client make `mistake` from now on; does nothing in a release build.
    package mutating func plant(_ mistake: ClientMistake) {
        #if DEBUG
            self.mistake = mistake
        #endif
    }

    #if DEBUG
        func makes(_ mistake: ClientMistake) -> Bool { self.mistake == mistake }
    #else
        @inline(__always) func makes(_ mistake: ClientMistake) -> Bool { false }
    #endif
}
