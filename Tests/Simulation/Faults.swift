/// What happens to one datagram.
package enum Fate: CaseIterable, Sendable {
    case arrives
    case isLost
    case arrivesTwice
    /// It is overtaken by all that is sent in the next two round trips.
    case isLate
}

/// What goes wrong in one run. A rate of 0 means that the fault is switched off in this run.
package struct Faults: Sendable, Equatable {
    package var lossPerMille = 0
    package var duplicationPerMille = 0
    /// How many datagrams are held back, up to `reorderingNanoseconds` longer than the others.
    package var reorderingPerMille = 0
    package var reorderingNanoseconds: UInt64 = 0
    /// What every datagram takes at least, one way.
    package var delayNanoseconds: UInt64 = 1_000_000
    /// What it takes more, at most.
    package var jitterNanoseconds: UInt64 = 0

    /// What the server's disk takes at most; 0 when everything is in memory.
    package var diskNanoseconds: UInt64 = 0
    /// How often an extent is evicted when another one comes in.
    package var evictionPerMille = 0
    /// How often there is no memory to keep a block of an upload.
    package var poolFullPerMille = 0
    /// How often a stranger says what a client has just said.
    package var intrusionPerMille = 0
    /// How often a client restarts, leaves silently, or aborts in the middle.
    package var departurePerMille = 0
    /// How often the next task of a client goes out from the same port.
    package var portReusePerMille = 0

    /// How often an extent cannot be read (EIO), or a file not be opened.
    package var diskErrorPerMille = 0
    /// How often an extent takes a hundred times as long.
    package var slowExtentPerMille = 0
    /// How often there is no space for an upload (ENOSPC), at its beginning or its end.
    package var diskFullPerMille = 0
    /// Files are replaced, or cut off, while they are served.
    package var replacesFiles = false
    /// How often the kernel refuses blocks (EMSGSIZE) and tells so later.
    package var sendRefusedPerMille = 0
    /// How often the kernel drops what is sent (EAGAIN, ENOBUFS) without a word.
    package var sendDroppedPerMille = 0
    /// How often the ring has no room for what is to be sent in this turn (a short submit).
    package var noRoomPerMille = 0
    /// How often receiving stops for a while (a multishot that has ended, no buffers).
    package var deafPerMille = 0

    /// What the task of a client's transfer takes at most before it takes or writes more; 0: it is
    /// at once.
    package var taskNanoseconds: UInt64 = 0
    /// What the server does with options, if anything.
    package var oldServer = OldServer.none

    /// A server that is older than RFC 2347.
    package enum OldServer: Sendable {
        case none
        /// Answers a request that has options with an ERROR.
        case refusesOptions
        /// Does not answer it.
        case ignoresOptions
    }

    package init() {}

    /// Whether the disk may end a transfer.
    package var breaksTransfers: Bool {
        diskErrorPerMille > 0 || diskFullPerMille > 0 || replacesFiles
    }

    /// Nothing that a datagram undergoes changes its place among the others.
    package var keepsOrder: Bool {
        reorderingPerMille == 0 && jitterNanoseconds == 0 && deafPerMille == 0
            && slowExtentPerMille == 0 && taskNanoseconds == 0
    }

    /// What a datagram takes at most.
    var delayMaxNanoseconds: UInt64 {
        delayNanoseconds + jitterNanoseconds + reorderingNanoseconds
    }

    /// What the way there and back takes at least.
    var roundTripMinNanoseconds: UInt64 { 2 * delayNanoseconds }

    /// Each fault is switched on or off by itself, so that rare combinations meet in some run. One
    /// run in four has loss, duplication and reordering of 10 % each.
    static func draw(seed: UInt64, using random: inout SimulationRandom) -> Faults {
        var faults = Faults()
        let rates = [10, 50, 100]
        faults.delayNanoseconds = random.pick([200_000, 1_000_000, 5_000_000, 40_000_000])
        faults.reorderingNanoseconds = faults.delayNanoseconds * (1 + random.below(4))
        if random.chance(perMille: 600) { faults.lossPerMille = random.pick(rates) }
        if random.chance(perMille: 500) { faults.duplicationPerMille = random.pick(rates) }
        if random.chance(perMille: 500) { faults.reorderingPerMille = random.pick(rates) }
        if random.chance(perMille: 400) { faults.jitterNanoseconds = faults.delayNanoseconds / 2 }
        if random.chance(perMille: 500) {
            faults.diskNanoseconds = random.pick([300_000, 30_000_000])
        }
        if random.chance(perMille: 300) { faults.evictionPerMille = random.pick([100, 500]) }
        if random.chance(perMille: 300) { faults.poolFullPerMille = random.pick([20, 200]) }
        if random.chance(perMille: 300) { faults.intrusionPerMille = 100 }
        if random.chance(perMille: 300) { faults.departurePerMille = 400 }
        if random.chance(perMille: 500) { faults.portReusePerMille = 700 }
        if seed % 4 == 0 {
            faults.lossPerMille = 100
            faults.duplicationPerMille = 100
            faults.reorderingPerMille = 100
        }
        if faults.reorderingPerMille == 0 { faults.reorderingNanoseconds = 0 }
        faults.drawSwarm(seed: seed)
        faults.drawClientFaults(seed: seed)
        return faults
    }

    private mutating func drawClientFaults(seed: UInt64) {
        var random = SimulationRandom(seed: seed ^ 0xC11E_4700)
        if random.chance(perMille: 300) { taskNanoseconds = random.pick([2_000_000, 300_000_000]) }
        if random.chance(perMille: 100) {
            oldServer = random.pick([.refusesOptions, .ignoresOptions])
        }
    }

    /// Faults of the disk and of the ring. They have random numbers of their own, so that a seed
    /// says of the network what it always said.
    private mutating func drawSwarm(seed: UInt64) {
        var random = SimulationRandom(seed: seed ^ 0x0D15_C0DE)
        guard random.chance(perMille: 600) else { return }
        if random.chance(perMille: 300) { diskErrorPerMille = random.pick([2, 10]) }
        if random.chance(perMille: 300) { slowExtentPerMille = random.pick([20, 200]) }
        if random.chance(perMille: 300) { diskFullPerMille = random.pick([20, 100]) }
        if random.chance(perMille: 300) { replacesFiles = true }
        if random.chance(perMille: 300) { sendRefusedPerMille = random.pick([5, 30]) }
        if random.chance(perMille: 300) { sendDroppedPerMille = random.pick([5, 30]) }
        if random.chance(perMille: 300) { noRoomPerMille = random.pick([20, 300]) }
        if random.chance(perMille: 300) { deafPerMille = random.pick([5, 30]) }
    }
}
