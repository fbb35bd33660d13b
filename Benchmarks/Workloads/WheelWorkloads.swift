internal import TFTPCore

let wheelWorkloads = tableSizes.flatMap { size in
    [
        // What each ACK does: the deadline moves on, and the wheel need not know yet.
        Workload(name: "wheel: move a deadline among \(size)") {
            let wheel = FullWheel(size)
            return { count in
                var order = Scattered(count: size)
                for _ in 0..<count { wheel.move(order.next()) }
                return wheel.now
            }
        },
        Workload(name: "wheel: expire and set again among \(size)") {
            let wheel = FullWheel(size)
            return { count in
                var digest: UInt64 = 0
                for _ in 0..<count { digest &+= UInt64(wheel.expireNext()) }
                return digest
            }
        },
    ]
}

/// A wheel with a deadline for every slot, spread over a second.
private final class FullWheel {
    private var wheel: TimingWheel
    private(set) var now: UInt64 = 1 << 40
    private let size: Int

    private static let secondNanoseconds: UInt64 = 1_000_000_000

    init(_ size: Int) {
        self.size = size
        wheel = TimingWheel(capacity: size, now: now)
        for slot in 0..<size {
            let delay = FullWheel.secondNanoseconds / UInt64(size) * UInt64(slot + 1)
            wheel.schedule(slot, at: now + delay)
        }
    }

    func move(_ slot: Int) {
        now += 500
        wheel.schedule(slot, at: now + FullWheel.secondNanoseconds)
    }

    /// Sleeps until a deadline has passed, and sets it a second on. Returns whose it was.
    func expireNext() -> Int {
        while true {
            if let slot = wheel.popExpired(now: now) {
                wheel.schedule(slot, at: now + FullWheel.secondNanoseconds)
                return slot
            }
            guard let sleep = wheel.nanosecondsUntilNext(now: now) else {
                preconditionFailure("a wheel without deadlines")
            }
            now += sleep
        }
    }
}
