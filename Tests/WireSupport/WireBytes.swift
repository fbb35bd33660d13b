import TFTPWire

extension [UInt8] {
    package init(_ bytes: RawSpan) {
        self = bytes.byteOffsets.map { _ in 0 }
        for offset in bytes.byteOffsets { self[offset] = bytes.byte(at: offset) }
    }

    /// The UTF-8 bytes of `text`, where `|` stands for NUL to keep tables readable.
    package init(wire text: String) {
        self = text.utf8.map { $0 == UInt8(ascii: "|") ? 0 : $0 }
    }

    /// What `body` writes into a buffer of `capacity` bytes.
    package init(capacity: Int, _ body: (inout OutputRawSpan) -> Void) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)
        defer { buffer.deallocate() }
        var output = OutputRawSpan(buffer: buffer, initializedCount: 0)
        body(&output)
        let byteCount = output.finalize(for: buffer)
        self = Array(buffer[..<byteCount])
    }
}

extension Options {
    package init(wire text: String) {
        self.init(parsing: [UInt8](wire: text).span.bytes)
    }
}
