internal import CLinux
package import TFTPCore

extension Address {
    /// Reads a numeric address; nil for anything else. Names are not looked up.
    package init?(numericText text: String) {
        var address = clinux_address()
        guard unsafe clinux_address_read(text, &address) == 0 else { return nil }
        self.init(high: address.high, low: address.low)
    }

    /// As `inet_ntop(3)` writes it, without the interface of a link-local one.
    package var numericText: String {
        var text = InlineArray<64, CChar>(repeating: 0)
        var span = text.mutableSpan
        let word = unsafe span.withUnsafeMutableBufferPointer { buffer in
            // 64 bytes hold the longest address, an interface name and the NUL.
            unsafe clinux_address_write(
                clinux_address(high: high, low: low), buffer.baseAddress)
            return unsafe String(cString: buffer.baseAddress!)
        }
        return String(word.prefix { $0 != "%" })
    }
}
