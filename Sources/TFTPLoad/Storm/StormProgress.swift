internal import Glibc
internal import Synchronization
internal import TFTPReactor

/// How far a storm is.
package struct StormSample: Sendable {
    package var doneCount = 0
    package var failedCount = 0
    package var byteCount: UInt64 = 0
    package var packetCount: UInt64 = 0
    /// Machines that boot at this moment.
    package var runningCount = 0
    /// Boots that are due and have not begun, because no machine was free (open loop).
    package var lateCount = 0
    package var seconds: Double

    package init(seconds: Double) { self.seconds = seconds }
}

/// What the threads of a storm tell each other: how many boots were begun and how many ended.
final class StormProgress: Sendable {
    private let beginning = Atomic<UInt64>(0)
    private let ready = Atomic<Int>(0)
    private let begun = Atomic<Int>(0)
    private let done = Atomic<Int>(0)
    private let failed = Atomic<Int>(0)
    private let bytes = Atomic<UInt64>(0)
    private let packets = Atomic<UInt64>(0)
    private let running = Atomic<Int>(0)
    private let late = Atomic<Int>(0)
    private let interruption: Interruption

    /// Asked for by the user, whichever part of the run it meets.
    final class Interruption: Sendable {
        private let flag = Atomic<Bool>(false)

        var isSet: Bool { flag.load(ordering: .relaxed) }

        func set() { flag.store(true, ordering: .relaxed) }
    }

    init(_ interruption: Interruption) { self.interruption = interruption }

    var isInterrupted: Bool { interruption.isSet }

    /// A thread could not go on: the others end too.
    func abort() { interruption.set() }

    // MARK: The beginning

    /// When the storm began; 0 before.
    var beganAt: UInt64 { beginning.load(ordering: .acquiring) }

    /// Threads that wait for the beginning.
    var readyCount: Int { ready.load(ordering: .acquiring) }

    /// Called by each thread when it can begin; returns when all may.
    func awaitBeginning() {
        ready.wrappingAdd(1, ordering: .releasing)
        while beganAt == 0 { usleep(200) }
    }

    func begin() { beginning.store(monotonicNow(), ordering: .releasing) }

    // MARK: The course

    /// Takes one of `limit` boots; false when all have been taken.
    func takeBoot(of limit: Int) -> Bool {
        begun.wrappingAdd(1, ordering: .relaxed).oldValue < limit
    }

    /// Adds what a thread has seen since it reported `before`.
    func add(_ now: StormSample, since before: StormSample) {
        done.wrappingAdd(now.doneCount - before.doneCount, ordering: .relaxed)
        failed.wrappingAdd(now.failedCount - before.failedCount, ordering: .relaxed)
        bytes.wrappingAdd(now.byteCount - before.byteCount, ordering: .relaxed)
        packets.wrappingAdd(now.packetCount - before.packetCount, ordering: .relaxed)
        running.wrappingAdd(now.runningCount - before.runningCount, ordering: .relaxed)
        late.wrappingAdd(now.lateCount - before.lateCount, ordering: .relaxed)
    }

    var sample: StormSample {
        let nanoseconds = beganAt == 0 ? 0 : monotonicNow() - beganAt
        var sample = StormSample(seconds: Double(nanoseconds) / 1e9)
        sample.doneCount = done.load(ordering: .relaxed)
        sample.failedCount = failed.load(ordering: .relaxed)
        sample.byteCount = bytes.load(ordering: .relaxed)
        sample.packetCount = packets.load(ordering: .relaxed)
        sample.runningCount = running.load(ordering: .relaxed)
        sample.lateCount = late.load(ordering: .relaxed)
        return sample
    }
}
