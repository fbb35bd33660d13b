/// A mistake that the server makes on purpose, so that the simulator shows that it would find one
/// there. Release builds make none.
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
    /// Takes a request again that came twice for a restart, although there is another socket for a
    /// second transfer.
    case neverLetsCoexist
    /// Where one port serves all, takes each duplicate of a request for a restart.
    case restartsAtOnce
    /// Says that a transfer was replaced whose last block was out.
    case forgetsLastBlock
    /// Begins transfers while it drains.
    case opensWhileDraining
    /// Answers a broadcast address.
    case answersBroadcast
    /// Answers its own sockets.
    case answersItself
    /// Answers an ERROR that belongs to no transfer.
    case answersErrors
    /// Lets a plain request end a sealed one that is being opened.
    case forgetsSeal
    /// Lets a sealed request that may be an old one keep out the next.
    case believesReplay
    /// Keeps the image of a transfer that has ended.
    case keepsImages
    /// Keeps the upload of a transfer that has ended.
    case keepsUploads
    /// Acknowledges the last block of an upload before it is safe.
    case acknowledgesUnstored
    /// Sends a client that has proven nothing as much as it asks for.
    case answersEverything
    /// Lets no unproven transfer make way.
    case evictsNone
}

extension TransferServer {
    /// Has the server make `mistake` from now on; does nothing in a release build.
    package mutating func plant(_ mistake: Mistake) {
        #if DEBUG
            self.mistake = mistake
        #endif
    }

    #if DEBUG
        func makes(_ mistake: Mistake) -> Bool { self.mistake == mistake }
    #else
        @inline(__always) func makes(_ mistake: Mistake) -> Bool { false }
    #endif
}
