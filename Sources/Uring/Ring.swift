internal import CUring
package import SystemPackage

/// An io_uring instance, owned by one thread.
///
/// Non-copyable and not Sendable: the thread that makes a ring is the only one that enters it,
/// which is what IORING_SETUP_SINGLE_ISSUER promises the kernel. The ring goes with its owner.
@safe
package struct Ring: ~Copyable {
    // On the heap, in C: `struct io_uring` holds pointers into itself and must not move.
    let ring: OpaquePointer
    private let completions: UnsafeMutableBufferPointer<curing_completion>

    /// The most completions one `drain` hands out, so that a flood cannot starve the timers.
    package static let drainCountMax = 256

    /// What a ring is for. Where the kernel can, it refuses every other request with
    /// `.permissionDenied`, whatever gets hold of the ring.
    package struct Uses: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }

        /// Datagrams, alarms, wakeups.
        package static let network = Uses(rawValue: UInt32(CURING_NETWORK))
        /// Opening, reading, writing, syncing; wakeups.
        package static let files = Uses(rawValue: UInt32(CURING_FILES))
    }

    /// - Parameters:
    ///   - entries: SQEs between two submits, a power of two.
    ///   - completions: CQEs the ring holds, a power of two. Multishot requests post without an
    ///     SQE, so this covers every provided buffer and all requests in flight.
    ///   - uses: what it is for; nothing: everything.
    /// - Throws: `.noFunction` or `.notPermitted` if io_uring is disabled.
    package init(
        entries: UInt32, completions completionCount: UInt32, uses: Uses = []
    ) throws(Errno) {
        precondition(entries.nonzeroBitCount == 1, "entries is a power of two")
        precondition(completionCount.nonzeroBitCount == 1 && completionCount >= entries)
        var created: OpaquePointer?
        let result = unsafe curing_create(entries, completionCount, uses.rawValue, &created)
        guard result == 0, let created = unsafe created else { throw Errno(rawValue: -result) }
        unsafe ring = created
        unsafe completions = .allocate(capacity: Ring.drainCountMax)
        unsafe completions.initialize(repeating: curing_completion())
    }

    deinit {
        unsafe curing_destroy(ring)
        unsafe completions.deallocate()
    }

    /// Hands every queued SQE to the kernel, runs deferred work, and waits for `count` completions
    /// or `nanoseconds` (nil: without limit; 0: do not wait).
    ///
    /// - Returns: whether the kernel took every SQE. If not, what they point to must stay.
    package mutating func enter(
        waitingFor count: UInt32, nanoseconds: UInt64?
    ) throws(Errno) -> Bool {
        let timeout = nanoseconds.map { Int64(clamping: $0) } ?? -1
        let result = unsafe curing_enter(ring, timeout == 0 ? 0 : count, timeout)
        if result < 0 {
            switch Errno(rawValue: -result) {
            // A signal or the time-out came first: the caller's loop comes round again anyway.
            case .interrupted: break
            case .timeout: break
            // The kernel is short of memory or of room in the CQ: nothing is lost; the caller
            // drains, and the next enter takes the rest.
            case .resourceTemporarilyUnavailable, .resourceBusy: break
            // EBADF, EFAULT, EINVAL, EEXIST: a ring used wrongly, which is our own bug.
            case .badFileDescriptor, .badAddress, .invalidArgument, .fileExists:
                preconditionFailure("io_uring_enter: \(Errno(rawValue: -result))")
            case let errno: throw errno
            }
        }
        return unsafe curing_queued(ring) == 0
    }

    /// Whether the kernel holds the ring to its uses.
    package var isRestricted: Bool { unsafe curing_is_restricted(ring) }

    /// SQEs queued since the last enter.
    package var queuedCount: Int { unsafe Int(curing_queued(ring)) }

    /// Whether completions did not fit and wait in the kernel, slowly: the CQ is too small.
    package var hasOverflowed: Bool { unsafe curing_overflowed(ring) }

    /// Copies ready completions out, oldest first, `drainCountMax` at most; read them with
    /// `completion`.
    ///
    /// They are copied before the first is looked at, so handling one may queue and enter, but not
    /// drain.
    package mutating func drain() -> Int {
        unsafe Int(curing_drain(ring, completions.baseAddress, UInt32(Ring.drainCountMax)))
    }

    /// The completion at `index` of the latest drain.
    package func completion(_ index: Int) -> Completion {
        unsafe assert(index >= 0 && index < completions.count)
        let raw = unsafe completions[index]
        return Completion(userData: raw.user_data, result: raw.result, flags: raw.flags)
    }

    /// Ends every request, so that the memory they know may be given back.
    package mutating func cancelAll() { unsafe curing_cancel_all(ring) }

    /// Makes room for `count` registered files.
    package mutating func registerFiles(count: Int) throws(Errno) {
        try check(unsafe curing_register_files(ring, UInt32(count)))
    }

    /// Puts descriptor `file` at `index` of the registered files; the caller keeps it open.
    package mutating func setFile(_ index: Int, _ file: Int32) throws(Errno) {
        try check(unsafe curing_update_file(ring, UInt32(index), file))
    }

    private func check(_ result: Int32) throws(Errno) {
        if result < 0 { throw Errno(rawValue: -result) }
    }
}

/// A CQE by value: 16 bytes, no reference into the ring.
package struct Completion: BitwiseCopyable, Sendable {
    package let userData: UInt64
    package let result: Int32
    let flags: UInt32

    /// Whether the request will complete again. When false, a multishot receive must be re-armed.
    package var hasMore: Bool { flags & UInt32(CURING_MORE) != 0 }

    /// The provided buffer the kernel filled, to be given back after use.
    package var bufferID: UInt16? {
        flags & UInt32(CURING_BUFFER) == 0 ? nil : UInt16(flags >> 16)
    }
}
