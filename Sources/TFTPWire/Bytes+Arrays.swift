// Copies, for what is not on the packet path.

extension Array<UInt8> {
    /// A copy of `bytes`.
    package init(_ bytes: RawSpan) {
        self = bytes.byteOffsets.map { bytes.byte(at: $0) }
    }

    /// What `body` writes into a buffer of `capacity` bytes.
    package init(capacity: Int, _ body: (inout OutputRawSpan) -> Void) {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)
        defer { unsafe room.deallocate() }
        var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
        body(&output)
        let byteCount = unsafe output.finalize(for: room)
        self = unsafe Array(room[..<byteCount])
    }
}
