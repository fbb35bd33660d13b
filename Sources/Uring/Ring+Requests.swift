internal import CUring

/// The requests this project makes of a ring. Each queues one SQE and reports whether there was
/// room; what pointers name must stay as the request says.
extension Ring {
    package mutating func queueNoOperation(userData: UInt64) -> Bool {
        unsafe curing_nop(ring, userData) == 0
    }

    /// Receives datagrams from registered file `index` into buffers of `group` until it fails.
    ///
    /// - Parameter header: a `msghdr` that says how much room name and control data get; must stay
    ///   while armed.
    package mutating func queueReceive(
        file index: Int, group: UInt16, header: UnsafeMutableRawPointer,
        userData: UInt64
    ) -> Bool {
        unsafe curing_recvmsg_multishot(
            ring, UInt32(index), group, header, userData) == 0
    }

    /// Sends one message without waiting; completes only on error.
    ///
    /// - Parameter header: a `msghdr`; it and all it points to must stay until the next `enter` has
    ///   taken the SQE. The send ends inside that enter (MSG_DONTWAIT), so nothing is read later.
    package mutating func queueSend(
        file index: Int, header: UnsafeRawPointer, userData: UInt64
    ) -> Bool {
        unsafe curing_sendmsg(ring, UInt32(index), header, userData) == 0
    }

    /// Ends the request whose user data is `target`, which completes for the last time then.
    package mutating func queueCancel(_ target: UInt64, userData: UInt64) -> Bool {
        unsafe curing_cancel(ring, target, userData) == 0
    }

    /// Completes at `nanoseconds` of the monotonic clock. One between two enters.
    package mutating func queueAlarm(at nanoseconds: UInt64, userData: UInt64) -> Bool {
        unsafe curing_alarm(ring, nanoseconds, userData) == 0
    }

    /// Completes each time `file` becomes readable.
    package mutating func queuePoll(file: Int32, userData: UInt64) -> Bool {
        unsafe curing_poll_multishot(ring, file, userData) == 0
    }

    /// Reads into `bytes`, which must stay until the completion.
    package mutating func queueRead(
        file: Int32, into bytes: UnsafeMutableRawBufferPointer, offset: UInt64, userData: UInt64
    ) -> Bool {
        unsafe curing_read(
            ring, file, bytes.baseAddress, UInt32(bytes.count), offset, userData) == 0
    }

    /// Writes `bytes`, which must stay until the completion.
    package mutating func queueWrite(
        file: Int32, from bytes: UnsafeRawBufferPointer, offset: UInt64, userData: UInt64
    ) -> Bool {
        unsafe curing_write(
            ring, file, bytes.baseAddress, UInt32(bytes.count), offset, userData) == 0
    }

    /// Opens `path` from `directory` on. `path` and `storage` (24 bytes, aligned to 8) must stay
    /// until the completion.
    package mutating func queueOpen(
        directory: Int32, path: UnsafePointer<CChar>, flags: Int32, resolve: UInt64,
        storage: UnsafeMutableRawPointer, userData: UInt64
    ) -> Bool {
        unsafe curing_openat2(
            ring, directory, path, UInt64(UInt32(bitPattern: flags)), 0, resolve, storage, userData)
            == 0
    }

    /// Brings what was written of `file`, or the names of a folder, to the disk (fsync(2)).
    package mutating func queueSync(file: Int32, userData: UInt64) -> Bool {
        unsafe curing_sync(ring, file, userData) == 0
    }

    /// Begins to write `byteCount` bytes of `file` back to the disk, so that a later sync has less
    /// to wait for.
    package mutating func queueWriteBack(
        file: Int32, offset: UInt64, byteCount: Int, userData: UInt64
    ) -> Bool {
        unsafe curing_write_back(ring, file, offset, UInt32(byteCount), userData) == 0
    }
}
