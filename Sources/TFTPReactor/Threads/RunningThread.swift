internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// A thread of ours: named, deaf to signals, joined once.
///
/// @unchecked because of the handle, which is written once in `init` and used by `join` alone.
package final class RunningThread: @unchecked Sendable {
    private var handle = pthread_t()
    private let ended: Ended

    private final class Ended: Sendable {
        let flag = Atomic<Bool>(false)
    }

    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        let ended: Ended

        init(_ name: String, _ ended: Ended, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.ended = ended
            self.body = body
        }
    }

    package init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(StartError) {
        ended = Ended()
        let start = unsafe Unmanaged.passRetained(Start(name, ended, body))
        // A new thread has its maker's signal mask: signals stay with the main program.
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        let result = unsafe pthread_create(
            &handle, nil,
            { argument in
                let start = unsafe Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
                unsafe clinux_name_self(start.name)
                start.body()
                start.ended.flag.store(true, ordering: .releasing)
                return nil
            }, start.toOpaque())
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        guard result == 0 else {
            unsafe start.release()
            throw .thread(Errno(rawValue: result))
        }
    }

    /// Whether this process may start `count` more threads: starts them and ends them. Without that
    /// a pool of the runtime would wait for its threads for ever.
    package static func rehearse(_ count: Int) throws(StartError) {
        let result = clinux_try_threads(UInt32(count))
        if result < 0 { throw .threads(count, Errno(rawValue: -result)) }
    }

    package var hasEnded: Bool { ended.flag.load(ordering: .acquiring) }

    /// Whether it is this thread that asks.
    var isCurrent: Bool { pthread_equal(handle, pthread_self()) != 0 }

    /// What the thread has used of its core; nil when it has ended. Costs the thread nothing.
    var cpuSeconds: Double? {
        var clock = clockid_t()
        guard !hasEnded, unsafe pthread_getcpuclockid(handle, &clock) == 0 else { return nil }
        var time = timespec()
        guard unsafe clock_gettime(clock, &time) == 0 else { return nil }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The thread is not joined: its resources are freed when it ends.
    package func detach() { pthread_detach(handle) }

    package func join() { pthread_join(handle, nil) }
}
