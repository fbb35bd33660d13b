internal import TFTPCore
package import TFTPWire

/// The OACK and the ERROR.
extension MachineTable {
    /// An OACK arrived from the server.
    ///
    /// - Parameter flaws: what `OACKFlaws(scanning:)` says about the same bytes.
    package mutating func stepOACK(
        _ machine: Int, options: Options, flaws: OACKFlaws, now: UInt64
    ) -> Effect {
        progress[machine].turnaround = 0
        switch progress[machine].phase {
        case .idle: return .none
        case .requesting: return stepOACKRequesting(machine, options, flaws, now: now)
        case .receiving: return stepOACKRepeated(machine, now: now)
        }
    }

    private mutating func stepOACKRequesting(
        _ machine: Int, _ options: Options, _ flaws: OACKFlaws, now: UInt64
    ) -> Effect {
        let index = Int(progress[machine].profile)
        let stage = profiles[index].stages[Int(progress[machine].stage)]
        sampleTurnaround(machine, now: now)
        var options = options
        if flaws.contains(.capitals) && profiles[index].traits.contains(.lowerCaseOnly) {
            options = Options()
        }
        if let fault = profiles[index].fault(in: options, asked: stage.options, flaws: flaws) {
            return fail(machine, .badOACK(fault), reply: profiles[index].refusalReply)
        }
        if case .probe(let reply, let acksFirst) = stage.ending {
            return closeProbe(machine, reply, ack: acksFirst ? BlockNumber(rawValue: 0) : nil, now)
        }
        take(machine, options)
        beginReceiving(machine)
        return acknowledged(machine, now: now)
    }

    /// The values are in their ranges: `fault` has seen to it.
    private mutating func take(_ machine: Int, _ options: Options) {
        if let blksize = options.blksize { progress[machine].blksize = UInt16(blksize) }
        if let windowsize = options.windowsize { progress[machine].windowsize = UInt16(windowsize) }
        guard let tsize = options.tsize else { return }
        history[machine].tsize = tsize
        let isIPXE = profiles[Int(progress[machine].profile)].aheadReaction == .keepAndAck
        if isIPXE && tsize > 0 {
            progress[machine].last = tsize / UInt64(progress[machine].blksize) + 1
        }
    }

    mutating func beginReceiving(_ machine: Int) {
        progress[machine].phase = .receiving
        noteProgress(machine, now: progress[machine].sentAt)
        let index = Int(progress[machine].profile)
        if profiles[index].ackRetry.growth != .adaptive {
            history[machine].periodMilliseconds = profiles[index].ackRetry.firstMilliseconds
        }
    }

    /// The first answer is here, and that is all the client wants.
    mutating func closeProbe(
        _ machine: Int, _ reply: ErrorReply, ack: BlockNumber?, _ now: UInt64
    ) -> Effect {
        var effect = endStage(machine, now: now)
        effect.ack = ack
        effect.error = reply
        return effect
    }

    private mutating func stepOACKRepeated(_ machine: Int, now: UInt64) -> Effect {
        counters.repeatedOACKs += 1
        let hasData = progress[machine].expected > 1
        switch profiles[Int(progress[machine].profile)].repeatedOACKReaction {
        case .ignore:
            return .none
        case .ackBeforeData:
            return hasData ? .none : acknowledgedAgain(machine, now: now)
        case .ackZero:
            counters.retransmittedACKs += 1
            startTimer(machine, now: now)
            return acknowledgedOnly(BlockNumber(rawValue: 0))
        case .ackCurrent:
            return acknowledgedAgain(machine, now: now)
        case .restart:
            progress[machine].expected = 1
            progress[machine].last = .max
            return acknowledgedAgain(machine, now: now)
        case .fail:
            return hasData ? fail(machine, .repeatedOACK) : acknowledgedAgain(machine, now: now)
        }
    }

    /// An ERROR arrived from the server. It is never answered.
    package mutating func stepError(_ machine: Int, code: ErrorCode, now: UInt64) -> Effect {
        progress[machine].turnaround = 0
        let state = progress[machine]
        let index = Int(state.profile)
        switch state.phase {
        case .idle:
            return .none
        case .requesting:
            sampleTurnaround(machine, now: now)
            let mayMiss = profiles[index].stages[Int(state.stage)].ending == .loadOrMiss
            if code == .fileNotFound && mayMiss { return endStage(machine, now: now) }
        case .receiving:
            if profiles[index].traits.contains(.ignoresErrorMidway) {
                progress[machine].flags.insert(.hasError)
                history[machine].errorCode = code.rawValue
                return .none
            }
        }
        return fail(machine, code == .fileNotFound ? .notFound : .errorFromServer(code))
    }
}

extension ClientProfile {
    /// What this client has against an OACK, or nil if it goes along.
    ///
    /// A blksize outside 8...65464 and a windowsize outside 1...65535 are no such thing to anyone,
    /// though some originals would carry on.
    func fault(in granted: Options, asked: Options, flaws: OACKFlaws) -> OACKFault? {
        if flaws.contains(.unterminated) && refusals.contains(.unterminated) {
            return .unterminated
        }
        if flaws.contains(.malformedPair) && refusals.contains(.malformedPair) {
            return .malformedPair
        }
        if flaws.contains(.unknownName) && refusals.contains(.unknown) { return .unaskedUnknown }
        for index in 0..<granted.count {
            guard let name = granted.order[index] else { break }
            if asked[name] == nil && refusals.contains(.unasked) { return .unasked(name) }
        }
        return rangeFault(in: granted) ?? valueFault(in: granted, asked: asked)
    }

    private func rangeFault(in granted: Options) -> OACKFault? {
        if let blksize = granted.blksize {
            let least: UInt32 = refusals.contains(.blksizeBelow64) ? 64 : 8
            if blksize < least || blksize > 65464 { return .outOfRange(.blksize) }
        }
        if let windowsize = granted.windowsize, windowsize < 1 || windowsize > UInt16.max {
            return .outOfRange(.windowsize)
        }
        return nil
    }

    /// Where nothing was asked, the default is what an option can be raised from.
    private func valueFault(in granted: Options, asked: Options) -> OACKFault? {
        if let blksize = granted.blksize, refusals.contains(.raisedBlksize),
            blksize > asked.blksize ?? UInt32(Grant.blksizeDefault)
        {
            return .raised(.blksize)
        }
        if let windowsize = granted.windowsize, refusals.contains(.raisedWindowsize),
            windowsize > asked.windowsize ?? 1
        {
            return .raised(.windowsize)
        }
        if let timeout = granted.timeout, refusals.contains(.changedTimeout),
            timeout != asked.timeout
        {
            return .changed(.timeout)
        }
        if granted.tsize == 0 && refusals.contains(.emptyFile) { return .emptyFile }
        if granted.tsize == nil && refusals.contains(.missingTsize) { return .missing(.tsize) }
        return nil
    }
}
