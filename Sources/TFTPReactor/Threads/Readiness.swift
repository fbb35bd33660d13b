internal import Glibc
internal import Synchronization
internal import SystemPackage

/// Counts threads in as they become ready, or fail to. Needs no file: where none is left, that has
/// to be told.
///
/// @unchecked because of the semaphore, which is made for many threads and lives as long as this.
@safe
final class Readiness: @unchecked Sendable {
    private struct State {
        var missing: Int
        var failure: Errno?
    }

    private let state: Mutex<State>
    private let arrivals: UnsafeMutablePointer<sem_t>

    init(count: Int) {
        state = Mutex(State(missing: count))
        unsafe arrivals = .allocate(capacity: 1)
        unsafe sem_init(arrivals, 0, 0)
    }

    deinit {
        unsafe sem_destroy(arrivals)
        unsafe arrivals.deallocate()
    }

    func arrive(_ failure: Errno?) {
        state.withLock { state in
            state.missing -= 1
            if let failure { state.failure = failure }
        }
        unsafe sem_post(arrivals)
    }

    /// Waits for all, or for the first that fails.
    func wait() -> Errno? {
        while true {
            let (missing, failure) = state.withLock { ($0.missing, $0.failure) }
            if missing <= 0 || failure != nil { return failure }
            unsafe sem_wait(arrivals)
        }
    }
}
