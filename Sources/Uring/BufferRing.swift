internal import CUring
package import SystemPackage

/// Buffers provided to the kernel, which fills one for each datagram that a multishot receive
/// takes.
///
/// Bound to the ring it was made with, which must outlive it; the owner calls `destroy`.
@safe
package struct BufferRing: ~Copyable {
    private let buffers: OpaquePointer
    package let group: UInt16
    package let bufferByteCount: Int

    /// - Parameters:
    ///   - count: buffers, a power of two, at most 32,768.
    ///   - bufferByteCount: room for the kernel's header, the name, the control data and the
    ///     payload.
    package init(
        ring: inout Ring, group: UInt16, count: Int, bufferByteCount: Int
    ) throws(Errno) {
        precondition(count.nonzeroBitCount == 1 && count <= 32_768)
        var created: OpaquePointer?
        let result = unsafe curing_buffers_create(
            ring.ring, group, UInt32(count), UInt32(bufferByteCount), &created)
        guard result == 0, let created = unsafe created else { throw Errno(rawValue: -result) }
        unsafe buffers = created
        self.group = group
        self.bufferByteCount = bufferByteCount
    }

    package mutating func destroy(ring: inout Ring) {
        unsafe curing_buffers_destroy(ring.ring, buffers)
    }

    /// Gives `buffer` back; the kernel sees it at the next `publish`.
    package mutating func give(_ buffer: UInt16) { unsafe curing_buffers_give(buffers, buffer) }

    /// Shows the kernel everything given back, in one store.
    package mutating func publish() { unsafe curing_buffers_publish(buffers) }

    /// The parts of the datagram in `completion`'s buffer, or nil when it is not whole.
    ///
    /// - Parameter header: the `msghdr` the receive was armed with.
    package func datagram(
        _ buffer: UInt16, result: Int32, header: UnsafeRawPointer
    ) -> ReceivedDatagram? {
        var parts = unsafe curing_datagram()
        let memory = unsafe curing_buffers_at(buffers, buffer)
        let status = unsafe curing_datagram_parse(memory, result, header, &parts)
        guard status == 0, let payload = unsafe parts.payload else { return nil }
        return unsafe ReceivedDatagram(
            name: UnsafeRawBufferPointer(start: parts.name, count: Int(parts.name_length)),
            control: UnsafeRawBufferPointer(
                start: parts.control, count: Int(parts.control_length)),
            payload: UnsafeRawBufferPointer(start: payload, count: Int(parts.payload_length)),
            isTruncated: parts.truncated)
    }
}

/// One received datagram, in the buffer the kernel filled; gone when the buffer is given back.
@unsafe
package struct ReceivedDatagram {
    package let name: UnsafeRawBufferPointer
    package let control: UnsafeRawBufferPointer
    package let payload: UnsafeRawBufferPointer
    package let isTruncated: Bool
}
