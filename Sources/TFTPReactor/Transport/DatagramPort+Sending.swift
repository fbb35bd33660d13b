internal import CLinux
internal import Glibc
package import TFTPCore
internal import Uring

/// Datagrams out.
extension DatagramPort {
    /// The tag of a send whose failure is ignored.
    package static let untagged = Tag.sendToStranger

    /// Whether one more small packet can be queued before the next `enter`.
    package var hasRoom: Bool { outbox.hasRoom }

    /// Queues one small packet that `write` fills in; false if there is no room, and it is lost as
    /// on a network.
    package mutating func send(
        byteCount: Int, to flow: Flow, tag: UInt64, _ write: (inout OutputRawSpan) -> Void
    ) -> Bool {
        guard let bytes = unsafe makeRoom(byteCount: byteCount) else { return false }
        var output = unsafe OutputRawSpan(buffer: bytes, initializedCount: 0)
        write(&output)
        let written = unsafe output.finalize(for: bytes)
        return unsafe send(UnsafeRawBufferPointer(rebasing: bytes[..<written]), to: flow, tag: tag)
    }

    /// Room for a small packet, to be filled in and sent before the next `enter`; nil when there is
    /// none.
    @unsafe
    package mutating func makeRoom(byteCount: Int) -> UnsafeMutableRawBufferPointer? {
        outbox.hasRoom ? unsafe outbox.take(byteCount: byteCount) : nil
    }

    /// Queues what was written to the room that `makeRoom` gave, or bytes that the caller keeps
    /// until `isSubmitted`; there is room for it.
    @unsafe
    package mutating func send(_ bytes: UnsafeRawBufferPointer, to flow: Flow, tag: UInt64) -> Bool
    {
        let start = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
        unsafe outbox.nextParts.pointee = clinux_part(base: start, byte_count: bytes.count)
        return send(parts: 1, segmentByteCount: 0, to: flow, tag: tag)
    }

    /// Queues the next `count` vectors of the outbox as one message.
    ///
    /// - Parameter segmentByteCount: what the kernel is to cut it into (UDP_SEGMENT); 0: it is one
    ///   datagram.
    mutating func send(parts count: Int, segmentByteCount: Int, to flow: Flow, tag: UInt64) -> Bool
    {
        let socket = sockets[Int(flow.socket)]
        let header = unsafe outbox.commit(
            parts: count, to: flow, isIPv6: socket.isIPv6, tellsLocal: socket.tellsLocal,
            segmentByteCount: segmentByteCount)
        guard cutsDatagrams && segmentByteCount == 0 else {
            return unsafe ring.queueSend(file: Int(flow.socket), header: header, userData: tag)
        }
        // At once and not by the ring: only this message goes out so.
        let message = unsafe header.assumingMemoryBound(to: msghdr.self)
        return unsafe clinux_udp_send_cut(socket.file, message, socket.isIPv6) == 0
    }
}
