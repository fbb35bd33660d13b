import TFTPLoad
import TFTPWire
import Testing

/// Whole boots against a scripted server.
@Suite struct WorldTests {
    static let byteCounts = [
        0, 1, 511, 512, 513, 1408, 1432, 1468 * 4, 1468 * 4 + 1, 16_384, 200_000,
    ]

    @Test(arguments: ClientKind.allCases, byteCounts)
    func eachKindBootsWithoutLosses(kind: ClientKind, byteCount: Int) {
        var world = World(ClientProfile(kind), fileByteCount: byteCount)
        world.run()
        if byteCount == 0 && kind == .pxelinux {
            #expect(world.result == .failed(.badOACK(.emptyFile)))
            return
        }
        #expect(world.result == .done)
        #expect(world.mistakes.isEmpty)
        #expect(world.acceptedByteCount == byteCount)
        #expect(world.acceptCounts.values.allSatisfy { $0 == 1 })
        #expect(world.table.counters == MachineTable.Counters())
        #expect(world.table.activeCount == 0)
    }

    @Test(arguments: [2, 4, 16, 64] as [UInt16], byteCounts)
    func windowsWithoutLosses(windowsize: UInt16, byteCount: Int) {
        for kind in ClientKind.allCases where kind.knowsWindows {
            var profile = ClientProfile(kind)
            profile.ask(windowsize: windowsize)
            var world = World(profile, fileByteCount: byteCount)
            world.run()
            #expect(world.result == .done)
            #expect(world.faults == [])
            #expect(world.table.counters == MachineTable.Counters())
        }
    }

    /// Losses each way, duplicates and packets that overtake others.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func plainSurvivesBadWeather(seed: UInt64) {
        let windowsize = [1, 2, 4, 16, 64][Int(seed % 5)] as UInt16
        let weather = Weather(
            lossPerMille: 50, duplicationPerMille: 30, jitterMilliseconds: seed % 2 == 0 ? 0 : 5)
        var world = World(
            .plain(blksize: 512, windowsize: windowsize), fileByteCount: 40_000 + Int(seed) * 512,
            weather: weather, seed: seed)
        world.run()
        #expect(world.result == .done, "seed \(seed)")
        #expect(world.faults == [], "seed \(seed)")
        #expect(world.acceptCounts.values.allSatisfy { $0 == 1 })
    }

    /// The server repairs what GRUB and lwIP do not.
    @Test(arguments: ClientKind.allCases, 0..<6 as Range<UInt64>)
    func eachKindSurvivesLosses(kind: ClientKind, seed: UInt64) {
        var world = World(
            ClientProfile(kind), fileByteCount: 100_000, weather: Weather(lossPerMille: 20),
            seed: seed)
        world.run()
        #expect(world.faults == [], "seed \(seed)")
        #expect(world.result == .done, "seed \(seed)")
    }

    /// No client accepts a block twice or a wrong one, whatever the weather.
    @Test(arguments: ClientKind.allCases, 0..<6 as Range<UInt64>)
    func nothingIsAcceptedTwice(kind: ClientKind, seed: UInt64) {
        let weather = Weather(lossPerMille: 20, duplicationPerMille: 50, jitterMilliseconds: 4)
        var world = World(
            ClientProfile(kind), fileByteCount: 50_000, weather: weather, seed: seed)
        world.run()
        #expect(world.result != nil)
        #expect(world.mistakes.isEmpty, "seed \(seed)")
        // A repeated OACK makes these two begin again.
        if kind != .grub && kind != .curl {
            #expect(world.acceptCounts.values.allSatisfy { $0 == 1 })
        }
        if world.result == .done { #expect(world.acceptedByteCount == world.file.count) }
    }
}

@Suite struct TableTests {
    @Test func aMachineTakesAFewCacheLines() {
        #expect(MachineTable.machineByteCount <= 128)
    }

    @Test func aTableHoldsManyMachinesAndProfiles() {
        var table = MachineTable(capacity: MachineTable.machinesMax, now: 5)
        startAll(&table)
        #expect(table.activeCount == MachineTable.machinesMax)
        #expect(table.kind(of: 3) == .uboot)
        #expect(table.startedAt(99_999) == 7)
    }

    /// All of them time out in the end, and the storm waits for none.
    @Test func withoutAServerEveryMachineTimesOut() {
        var table = MachineTable(capacity: 260, now: 5)
        startAll(&table)
        var now: UInt64 = 7
        while let nanoseconds = table.nanosecondsUntilDeadline(now: now) {
            now += nanoseconds
            while let machine = table.popExpired(now: now) {
                _ = table.stepTimeout(machine, now: now)
            }
        }
        #expect(table.activeCount == 0)
        #expect(now > 300_000_000_000)
        #expect(now < 301_000_000_000)
    }

    private func startAll(_ table: inout MachineTable) {
        let profiles = ClientKind.allCases.map { table.addProfile(ClientProfile($0)) }
        for machine in 0..<table.capacity {
            let effect = table.start(machine, profile: profiles[machine % profiles.count], now: 7)
            precondition(effect.request?.fromNewPort == true)
        }
    }

    @Test func machinesCanBeStoppedAndStartedAgain() {
        var table = MachineTable(capacity: 2, now: 0)
        let profile = table.addProfile(ClientProfile(.ipxe))
        _ = table.start(1, profile: profile, now: 0)
        table.stop(1)
        table.stop(1)
        #expect(table.activeCount == 0)
        #expect(table.nanosecondsUntilDeadline(now: 0) == nil)
        #expect(table.stepData(1, block: BlockNumber(rawValue: 1), byteCount: 5, now: 1) == .none)
        #expect(table.start(1, profile: profile, now: 9).words == "request+")
        #expect(table.start(1, profile: profile, now: 10).words == "request+")
        #expect(table.activeCount == 1)
        #expect(table.startedAt(1) == 10)
    }

    @Test func kindsHaveNamesAndASummary() {
        #expect(
            ClientKind.allCases.map(\.rawValue) == [
                "ipxe", "grub", "pxelinux", "uboot", "uboot-lwip", "edk2", "curl", "busybox",
                "barebox",
                "rpi", "windows", "hpa", "plain",
            ])
        for kind in ClientKind.allCases {
            #expect(!kind.summary.isEmpty)
            #expect(kind.summary.utf8.count <= 90)
        }
    }
}
