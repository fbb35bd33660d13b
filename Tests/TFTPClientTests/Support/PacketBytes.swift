extension [UInt8] {
    /// What kind of a TFTP packet this is.
    var opcode: UInt8 { count > 1 ? self[1] : 0 }
    /// Its block number, where it has one.
    var block: Int { count > 3 ? Int(self[2]) << 8 | Int(self[3]) : -1 }

    static func ack(_ block: Int, tag: [UInt8] = []) -> [UInt8] {
        [0, 4, UInt8(block >> 8 & 0xFF), UInt8(block & 0xFF)] + tag
    }

    static func error(_ code: UInt8, _ text: String) -> [UInt8] {
        [0, 5, 0, code] + Array(text.utf8) + [0]
    }
}
