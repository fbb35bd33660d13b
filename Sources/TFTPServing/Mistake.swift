/// A mistake that the server makes on purpose, so that the simulator shows that it would find one there. Release builds make
/// none.
package enum Mistake: CaseIterable, Sendable {
    case none
    /// Starts a window again at every ACK that says nothing new.
    case rewindsEagerly
    /// Forgets to give the slot of an upload back.
    case forgetsSlot
    /// Sends a packet to an endpoint that never sent one.
    case sendsToStranger
    /// Repeats the OACK at each ACK.
    case repeatsOACK
}

extension TransferServer {
    #if DEBUG
        func makes(_ mistake: Mistake) -> Bool { self.mistake == mistake }
    #else
        @inline(__always) func makes(_ mistake: Mistake) -> Bool { false }
    #endif
}
