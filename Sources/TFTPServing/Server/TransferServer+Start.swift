internal import TFTPCore
internal import TFTPMetrics
internal import TFTPStore
internal import TFTPWire

/// From an accepted request to its first packet.
extension TransferServer {
    /// - Parameter byteCount: `.max` while unknown.
    mutating func startSending(
        _ slot: Int, _ place: UInt32, _ image: ImageID, _ byteCount: UInt64,
        isSupplied: Bool = false
    ) {
        let mode = pendings[place].mode
        guard !pendings[place].options.beginsBeyond(byteCount: byteCount, mode: mode) else {
            effects.append(.releaseImage(image, isSupplied: isSupplied))
            let refusal = Refusal(
                .optionNegotiation, "Offset beyond the end of the file", .invalidOption)
            return refuse(slot, place, refusal)
        }
        let isText = mode == .netascii
        let known = byteCount == .max ? nil : byteCount
        table.setKind(of: slot, pendings[place].kind)
        let grant =
            seals.grant(of: slot)
            ?? pendings[place].options.grant(
                limits: grantLimits(
                    slot, pendings[place].policy, isUpload: false, isSupplied: isSupplied),
                byteCount: known, mode: mode, opcode: .rrq)
        var entry = entry(of: place, grant)
        let part = grant.part(of: byteCount)
        if makes(.raisesBlksize) { entry.options.raiseBlksize() }
        entry.image = image
        entry.partBegin = makes(.ignoresOffset) ? 0 : part.lowerBound
        entry.partEnd = part.upperBound
        entry.isSupplied = isSupplied
        // What has no end yet gets one for each transfer by itself.
        let isShared = known != nil && !isText
        table.setSubject(of: slot, isShared ? contents.share(entry) : contents.take(entry))
        var count = isText || known == nil ? nil : part.upperBound - part.lowerBound
        if makes(.sendsBeyondEnd) { count? += UInt64(grant.blksize) }
        if makes(.forgetsEmptyBlock) && count ?? 0 > 0 { count? -= 1 }
        let waited = table.nanosecondsSinceRequest(slot, now: now)
        let effect = table.startSending(slot, byteCount: count, grant: grant, now: now)
        noteStart(slot, waited: waited)
        perform(effect, slot)
    }

    mutating func startReceiving(
        _ slot: Int, _ place: UInt32, storeUpload: UInt32
    ) {
        let byteCountMax = pendings[place].policy.uploadByteCountMax
        guard makeUploadRoom(),
            let upload = uploads.take(
                storeUpload: storeUpload, slot: slot, byteCountMax: byteCountMax)
        else {
            tellStore(.abort(upload: storeUpload))
            counters.add(.shortOfUploads)
            return refuse(slot, place, Refusal(.busy))
        }
        let grant =
            seals.grant(of: slot)
            ?? pendings[place].options.grant(
                limits: grantLimits(slot, pendings[place].policy, isUpload: true), byteCount: nil,
                mode: pendings[place].mode, opcode: .wrq)
        var entry = entry(of: place, grant)
        entry.isUpload = true
        entry.upload = upload
        table.setSubject(of: slot, contents.take(entry))
        let waited = table.nanosecondsSinceRequest(slot, now: now)
        let effect = table.startReceiving(slot, grant: grant, now: now)
        noteStart(slot, waited: waited)
        perform(effect, slot)
    }

    /// What the record of the transfer will say of it.
    private func entry(
        of place: UInt32, _ grant: Grant
    ) -> ContentTable.Entry {
        var entry = ContentTable.Entry()
        entry.mode = pendings[place].mode
        entry.options = grant.options
        entry.asked = pendings[place].options
        entry.isSealed = grant.isSealed
        entry.fingerprint = pendings[place].kind
        entry.name = RecordName(pendings[place].name.bytes)
        return entry
    }

    /// Blocks granted to `slot` pass the path to its client: IP packets of `mtu` bytes do. Called
    /// before anything is granted, and for nothing that is refused.
    package mutating func notePath(_ slot: Int, mtu: Int) {
        mtus[slot] = UInt16(clamping: mtu)
        if isSealedQuestion(slot) { settleSealed(slot, table.subject(of: slot)) }
    }

    /// The MTU of the path to the client of `slot`; 0: unknown.
    package func mtu(of slot: Int) -> Int { Int(mtus[slot]) }

    /// What may be granted: the configuration (but no window of 65535, whose last ACK is the one
    /// before its first on the wire), and what passes the path to this client in one piece.
    /// Fragments break many boot ROMs.
    func grantLimits(
        _ slot: Int, _ policy: RequestPolicy, isUpload: Bool, isSupplied: Bool = false
    ) -> GrantLimits {
        var blksizeMax = policy.blksizeMax
        let mtu = Int(mtus[slot])
        if mtu > 0 {
            let overhead = table.flow(of: slot).peer.address.isIPv4 ? 32 : 52
            blksizeMax = min(blksizeMax, UInt16(clamping: max(8, mtu - overhead)))
        }
        if isUpload && configuration.isSinglePort {
            blksizeMax = min(blksizeMax, ServingLimits.singlePortBlksizeMax)
        }
        var windowByteCountMax =
            isSupplied ? ImageCache.supplyWindowByteCountMax : Limits.windowByteCountMax
        if !isUpload {
            blksizeMax = min(blksizeMax, limits.blksizeMax)
            windowByteCountMax = min(windowByteCountMax, limits.windowByteCountMax)
        }
        return GrantLimits(
            blksizeMax: blksizeMax, windowsizeMax: min(policy.windowsizeMax, 65534),
            windowByteCountMax: windowByteCountMax,
            tellsEmptySize: table.policy(of: slot).tellsEmptySize)
    }
}

extension Options {
    /// A mistake's.
    fileprivate mutating func raiseBlksize() {
        if let blksize { self.blksize = blksize + 8 }
    }
}
