internal import TFTPWire

/// The small packets of one step, until its effects have been carried out.
@safe
struct PacketMemory: ~Copyable {
    private let memory: UnsafeMutableRawBufferPointer
    private var byteCount = 0

    private static let byteCountMax = 65_536

    init() {
        unsafe memory = .allocate(byteCount: PacketMemory.byteCountMax, alignment: 16)
    }

    deinit { unsafe memory.deallocate() }

    /// Appends a packet of at most `byteCount` bytes that `write` fills in. Returns where it is.
    @inline(__always)
    mutating func append(
        byteCount: Int, _ write: (inout OutputRawSpan) -> Void
    ) -> (offset: UInt32, byteCount: UInt32) {
        let offset = self.byteCount
        precondition(offset + byteCount <= PacketMemory.byteCountMax)
        let room = unsafe UnsafeMutableRawBufferPointer(
            rebasing: memory[offset..<(offset + byteCount)])
        var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
        write(&output)
        let written = unsafe output.finalize(for: room)
        self.byteCount += written
        return (UInt32(offset), UInt32(written))
    }

    /// Forgets all packets.
    mutating func removeAll() { byteCount = 0 }

    /// The bytes of a packet, until `removeAll`.
    @unsafe
    func bytes(of order: PacketOrder) -> UnsafeRawBufferPointer {
        let end = Int(order.offset + order.byteCount)
        return unsafe UnsafeRawBufferPointer(rebasing: memory[Int(order.offset)..<end])
    }
}
