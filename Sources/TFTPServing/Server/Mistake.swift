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
    /// Answers port 0.
    case answersPortZero
    /// Says nothing of a file that is not there.
    case hidesMisses
    /// Sends one block more than the file has.
    case sendsBeyondEnd
    /// Leaves out the empty block behind a file of full blocks.
    case forgetsEmptyBlock
    /// Sends the beginning of a file where a part was asked for.
    case ignoresOffset
    /// Keeps a block of an upload that it has already.
    case keepsDuplicates
    /// Acknowledges a block of an upload that it does not keep.
    case losesPayload
    /// Never fills a chunk again that the store has written.
    case forgetsChunks
    /// Keeps the place of a request that the store has answered.
    case forgetsPending
    /// Keeps the entry of a content that no transfer uses.
    case keepsContents
    /// Does not hear that an extent is there.
    case losesWaiter
    /// Does not tell the client that an extent cannot be read.
    case hidesDiskErrors
    /// Sends the OACK from the socket that requests come to.
    case answersFromListener
    /// Refuses a request that it has answered already.
    case refusesRepeats
    /// Ends a transfer when the kernel refuses a packet.
    case failsOnRefusedSend
    /// Grants a larger blksize than was asked for.
    case raisesBlksize
    /// Sends more bytes a second than a client or its network may have.
    case ignoresRate
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
