import TFTPWire

extension [UInt8] {
    /// The UTF-8 bytes of `text`, where `|` stands for NUL to keep tables readable.
    package init(wire text: String) {
        self = text.utf8.map { $0 == UInt8(ascii: "|") ? 0 : $0 }
    }
}

extension Options {
    package init(wire text: String) {
        self.init(parsing: [UInt8](wire: text).span.bytes)
    }
}
