extension Options {
    /// Answers a request's options as a server: lowers or leaves out, never raises, never adds.
    ///
    /// The granted options keep the order of the request. Each is granted by its own rule below;
    /// one that is left out takes its default.
    ///
    /// - Parameter byteCount: The size of the file, if it is known. Only an RRQ needs it.
    package func grant(
        limits: GrantLimits, byteCount: UInt64?, mode: TransferMode, opcode: Opcode
    ) -> Grant {
        precondition(opcode == .rrq || opcode == .wrq)
        let blksize = grantedBlksize(limits: limits)
        // The standard one counts where a client asks for both.
        let blksize2 = blksize == nil ? grantedBlksize2(limits: limits) : nil
        let blksizeEffective = blksize ?? blksize2 ?? Grant.blksizeDefault
        let known = byteCount == 0 && !limits.tellsEmptySize ? nil : byteCount
        let tsize = opcode == .rrq ? grantedTsize(byteCount: known, mode: mode) : self.tsize
        var granted = self
        granted.blksize = blksize.map(UInt32.init)
        granted.blksize2 = blksize2.map(UInt32.init)
        granted.windowsize = grantedWindowsize(limits: limits, blksize: blksizeEffective)
        granted.timeout = grantedTimeout
        granted.utimeout = grantedUtimeout
        granted.rollover = grantedRollover
        let isVariable = opcode == .rrq && granted.windowsize != nil
        granted.msftwindow =
            isVariable ? grantedMSFTWindow(limits: limits, blksize: blksizeEffective) : nil
        granted.tsize = tsize
        let part = opcode == .rrq ? grantedPart(byteCount: byteCount, mode: mode) : nil
        granted.offset = part?.offset
        granted.length = part?.length
        return Grant(settled: granted)
    }

    /// RFC 2348: a server may lower it. Below 8 it is not a blksize, so it is left out.
    private func grantedBlksize(limits: GrantLimits) -> UInt16? {
        guard let blksize, blksize >= Grant.blksizeRange.lowerBound else { return nil }
        return min(UInt16(clamping: blksize), limits.blksizeMax)
    }

    /// tftp-hpa: as blksize, lowered to a power of two.
    private func grantedBlksize2(limits: GrantLimits) -> UInt16? {
        guard let blksize2, blksize2 >= Grant.blksizeRange.lowerBound else { return nil }
        let most = min(UInt16(clamping: blksize2), limits.blksizeMax)
        return 1 << (UInt16.bitWidth - 1 - most.leadingZeroBitCount)
    }

    /// tftp-hpa: echoed as it is or left out.
    private var grantedUtimeout: UInt32? {
        guard let utimeout, Grant.utimeoutRange.contains(utimeout) else { return nil }
        return utimeout
    }

    /// tftp-hpa: 0 or 1, echoed. It grants any other number as well, which no client asks for.
    private var grantedRollover: UInt16? {
        guard let rollover, rollover <= 1 else { return nil }
        return rollover
    }

    /// Windows may ask for up to 255 blocks with each ACK, and waits for as many: the option is
    /// left out where the limits do not allow that many.
    private func grantedMSFTWindow(limits: GrantLimits, blksize: UInt16) -> UInt16? {
        guard msftwindow == Grant.msftwindowAsked,
            limits.windowsizeMax(blksize: blksize) >= Grant.variableWindowMax
        else { return nil }
        return Grant.msftwindowGranted
    }

    /// RFC 7440 §3: a server may lower it. Zero is not a windowsize, so it is left out; one is
    /// echoed.
    private func grantedWindowsize(limits: GrantLimits, blksize: UInt16) -> UInt32? {
        guard let windowsize, windowsize >= 1 else { return nil }
        return min(windowsize, UInt32(limits.windowsizeMax(blksize: blksize)))
    }

    /// RFC 2349: echoed unchanged or left out. U-Boot and EDK II abort at another value.
    private var grantedTimeout: UInt32? {
        guard let timeout, Grant.timeoutSecondsRange.contains(timeout) else { return nil }
        return timeout
    }

    /// RFC 2349, for an RRQ: the size of the file.
    ///
    /// In netascii the number of bytes on the wire is only known at the end.
    private func grantedTsize(byteCount: UInt64?, mode: TransferMode) -> UInt64? {
        guard tsize != nil, let byteCount, mode == .octet else { return nil }
        return byteCount
    }

    /// Our own, for an RRQ: the part of a file of `byteCount` bytes, `offset` as it was asked and
    /// `length` lowered to what is left.
    ///
    /// Both are left out in netascii, where a byte of the file has no fixed place on the wire, and
    /// while the size is unknown. A request beyond the end has been refused before.
    private func grantedPart(
        byteCount: UInt64?, mode: TransferMode
    ) -> (offset: UInt64?, length: UInt64?)? {
        let begin = offset ?? 0
        guard let byteCount, begin <= byteCount, mode == .octet else { return nil }
        return (offset, length.map { min($0, byteCount - begin) })
    }

    /// Whether the requested part begins beyond the end of a file of `byteCount` bytes. Such a
    /// request cannot be granted.
    package func beginsBeyond(byteCount: UInt64, mode: TransferMode) -> Bool {
        mode == .octet && offset ?? 0 > byteCount
    }
}

/// Why an OACK is rejected. The server gets ERROR 8 for it (RFC 2347).
package enum NegotiationError: Error, Equatable {
    /// The server grants what was not asked (RFC 2347).
    case unasked(Options.Name)
    /// The server raises the blksize, the windowsize (RFC 2348, RFC 7440 §3) or the length.
    case raised(Options.Name)
    /// The server answers with another timeout (RFC 2349) or offset than was asked.
    case changed(Options.Name)
    /// A blksize below 8, or a windowsize or timeout outside its range.
    case outOfRange(Options.Name)
    /// The server leaves out what says which part of the file is wanted: it would send another.
    case ignored(Options.Name)
}

extension Options {
    /// Takes a server's answer as a client, against what was asked.
    ///
    /// Options that were asked and do not come back take their defaults. Names that Bootstorm does
    /// not know are not in `oack` any more and pass: some servers add their own, and they do no
    /// harm. So does an option that was not asked and has the value that holds without it: tftpy,
    /// partftpy and ptftpd send `blksize 512` or `windowsize 1` so. `tsize` may have any value.
    /// Without `offset` and `length` a server would send other bytes than were asked for, so these
    /// must come back.
    package static func accept(oack: Options, asked: Options) throws(NegotiationError) -> Grant {
        var settled = oack
        for index in 0..<oack.count {
            guard let name = oack.order[index], let granted = oack[name] else { break }
            guard let wanted = asked[name] else {
                guard isDefault(name, granted) else { throw .unasked(name) }
                settled.set(name, to: nil)
                continue
            }
            try check(name, granted: granted, asked: wanted)
        }
        for name in [Name.offset, .length] where asked[name] != nil && oack[name] == nil {
            throw .ignored(name)
        }
        return Grant(settled: settled)
    }

    /// Whether `value` holds for the option where nothing is said of it (RFC 1350, RFC 7440 §3).
    private static func isDefault(_ name: Name, _ value: UInt64) -> Bool {
        switch name {
        case .blksize: value == UInt64(Grant.blksizeDefault)
        case .windowsize: value == 1
        case .rollover: value == 0
        case .timeout, .tsize, .offset, .length, .blksize2, .utimeout, .msftwindow: false
        }
    }

    private static func check(
        _ name: Name, granted: UInt64, asked: UInt64
    ) throws(NegotiationError) {
        switch name {
        case .blksize, .blksize2:
            if granted > asked { throw .raised(name) }
            if !Grant.blksizeRange.contains(UInt16(clamping: granted)) { throw .outOfRange(name) }
        case .windowsize:
            if granted > asked { throw .raised(name) }
            if granted < 1 || granted > UInt16.max { throw .outOfRange(name) }
        case .timeout:
            if granted != asked { throw .changed(name) }
            if !Grant.timeoutSecondsRange.contains(UInt32(clamping: granted)) {
                throw .outOfRange(name)
            }
        case .tsize:
            break
        case .offset:
            if granted != asked { throw .changed(name) }
        case .length:
            if granted > asked { throw .raised(name) }
        case .utimeout:
            if granted != asked { throw .changed(name) }
            if !Grant.utimeoutRange.contains(UInt32(clamping: granted)) { throw .outOfRange(name) }
        case .rollover:
            if granted != asked { throw .changed(name) }
            if granted > 1 { throw .outOfRange(name) }
        case .msftwindow:
            if granted != UInt64(Grant.msftwindowGranted) { throw .changed(name) }
        }
    }
}

extension Grant {
    /// What `options` come to once both ends agree on them. They are in their ranges.
    fileprivate init(settled options: Options) {
        self.init()
        self.options = options
        if let blksize = options.blksize ?? options.blksize2 { self.blksize = UInt16(blksize) }
        if let windowsize = options.windowsize { self.windowsize = UInt16(windowsize) }
        if let timeout = options.timeout { self.timeoutSeconds = UInt8(timeout) }
        if options.rollover == 1 { rollover = .toOne }
        assert(Grant.blksizeRange.contains(self.blksize))
        assert(self.windowsize >= 1)
    }
}
