internal import TFTPCore
internal import TFTPWire

/// Time-outs and turn-around.
extension MachineTable {
    /// How many nanoseconds the caller may sleep; nil when no deadline is set.
    package func nanosecondsUntilDeadline(now: UInt64) -> UInt64? {
        wheel.nanosecondsUntilNext(now: now)
    }

    /// A machine whose deadline has passed; it is to be stepped with `stepTimeout`. Nil when none
    /// is left.
    package mutating func popExpired(now: UInt64) -> Int? { wheel.popExpired(now: now) }

    /// The deadline of `machine` has passed.
    package mutating func stepTimeout(_ machine: Int, now: UInt64) -> Effect {
        progress[machine].turnaround = 0
        let state = progress[machine]
        guard state.phase != .idle else { return .none }
        let retry = schedule(of: machine)
        let isOver = isExhausted(machine, retry)
        if isOver { return fail(machine, giveUpFailure(machine)) }
        progress[machine].retries = min(.max - 1, state.retries) + 1
        progress[machine].flags.remove(.awaiting)
        startTimer(machine, now: now)
        guard retry.repeats else { return .none }
        if state.phase == .requesting { return requestAgain() }
        return acknowledgeAtTimeout(machine, now: now)
    }

    private mutating func isExhausted(_ machine: Int, _ retry: RetrySchedule) -> Bool {
        guard retry.growth == .adaptive else {
            return progress[machine].retries + 1 >= retry.triesMax
        }
        let doubled = history[machine].periodMilliseconds * 2
        history[machine].periodMilliseconds = min(doubled, retry.maxMilliseconds)
        return doubled > retry.maxMilliseconds
    }

    private func giveUpFailure(_ machine: Int) -> BootFailure {
        let state = progress[machine]
        if state.flags.contains(.lacksOACK) { return .noOACK }
        if state.flags.contains(.hasError) {
            return .errorFromServer(ErrorCode(rawValue: history[machine].errorCode))
        }
        if state.flags.contains(.strayAddress) { return .strayAddress }
        if state.flags.contains(.strayPort) { return .strayPort }
        return .timedOut(state.phase)
    }

    private mutating func requestAgain() -> Effect {
        counters.retransmittedRequests += 1
        var effect = Effect.none
        effect.request = Requested(fromNewPort: false)
        return effect
    }

    private mutating func acknowledgeAtTimeout(_ machine: Int, now: UInt64) -> Effect {
        let state = progress[machine]
        switch profiles[Int(state.profile)].timeoutAck {
        case .current:
            return acknowledgedAgain(machine, now: now)
        case .currentInWindow:
            let effect = acknowledgedAgain(machine, now: now)
            progress[machine].ackDue = state.ackDue
            return effect
        case .last:
            counters.retransmittedACKs += 1
            return acknowledgedOnly(BlockNumber(rawValue: state.lastAck))
        }
    }

    private func schedule(of machine: Int) -> RetrySchedule {
        let index = Int(progress[machine].profile)
        return progress[machine].phase == .requesting
            ? profiles[index].requestRetry : profiles[index].ackRetry
    }

    /// Sets the deadline a period from now.
    mutating func startTimer(_ machine: Int, now: UInt64) {
        let retry = schedule(of: machine)
        let milliseconds =
            retry.growth == .adaptive
            ? history[machine].periodMilliseconds
            : retry.periodMilliseconds(retries: Int(progress[machine].retries))
        wheel.schedule(machine, at: now &+ UInt64(milliseconds) * 1_000_000)
    }

    /// Something new came: the time-outs so far are forgiven, if this client forgives.
    mutating func noteProgress(_ machine: Int, now: UInt64) {
        progress[machine].flags.subtract([.strayPort, .strayAddress])
        let state = progress[machine]
        let profile = Int(state.profile)
        if profiles[profile].requestRetry.growth == .adaptive {
            adaptPeriod(machine, now: now)
        } else if profiles[profile].traits.contains(.countsTimeoutsPerCycle) {
            // Block 0 of a new cycle has just come.
            if (state.expected - 1) & 0xFFFF == 0 && state.expected > 1 {
                progress[machine].retries = 0
            }
        } else {
            progress[machine].retries = 0
        }
    }

    /// iPXE: a time-out takes back one answer's right to be measured; a measured one moves the
    /// period an eighth of the way towards four round trips.
    private mutating func adaptPeriod(_ machine: Int, now: UInt64) {
        if progress[machine].retries > 0 {
            progress[machine].retries -= 1
            return
        }
        let least = profiles[Int(progress[machine].profile)].requestRetry.firstMilliseconds
        let period = history[machine].periodMilliseconds
        let roundTrip = UInt32(clamping: (now &- progress[machine].sentAt) / 1_000_000)
        let most: UInt32 = 10_000
        history[machine].periodMilliseconds = max(
            least, min(most, period - period / 8 + min(roundTrip, most) / 2))
    }

    /// Measures the way from our latest packet to its first answer, if that is the one (Karn's
    /// rule, RFC 6298 §3).
    mutating func sampleTurnaround(_ machine: Int, now: UInt64) {
        guard progress[machine].flags.contains(.awaiting) else { return }
        progress[machine].flags.remove(.awaiting)
        progress[machine].turnaround = max(1, now &- progress[machine].sentAt)
    }
}
