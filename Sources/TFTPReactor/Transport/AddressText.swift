internal import CLinux
package import TFTPCore

extension ListenAddress: CustomStringConvertible {
    package var description: String { Endpoint(address: address, port: port).description }
}

extension Endpoint: CustomStringConvertible {
    package var description: String {
        // Without an address every one is meant, as other servers write it.
        if address == .unspecified { return "[::]:\(port)" }
        return address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

extension Endpoint {
    /// Reads `ADDR:PORT`, `[ADDR]:PORT`, `:PORT` for every address, or `ADDR`; nil for anything
    /// else.
    package init?(text: String, defaultPort: UInt16) {
        if let whole = Address(numeric: text) {
            self.init(address: whole, port: defaultPort)
            return
        }
        guard let (host, port) = Endpoint.split(text, defaultPort: defaultPort) else { return nil }
        if host.isEmpty || host == "*" {
            self.init(address: .unspecified, port: port)
        } else if let address = Address(numeric: host) {
            self.init(address: address, port: port)
        } else {
            return nil
        }
    }

    /// The same with a host name where an address may stand. Waits for the resolver.
    package init?(resolving text: String, defaultPort: UInt16) {
        if let numeric = Endpoint(text: text, defaultPort: defaultPort) {
            self = numeric
            return
        }
        guard let (host, port) = Endpoint.split(text, defaultPort: defaultPort) else { return nil }
        var address = clinux_address()
        guard unsafe clinux_address_resolve(host, &address) == 0 else { return nil }
        self.init(address: Address(address), port: port)
    }

    private static func split(_ text: String, defaultPort: UInt16) -> (String, UInt16)? {
        guard !text.isEmpty else { return nil }
        var host = text[...]
        var port = defaultPort
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            guard let number = UInt16(text[text.index(after: colon)...]) else { return nil }
            port = number
            host = text[..<colon]
        }
        if host.hasPrefix("[") && host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return (String(host), port)
    }
}

extension Address: CustomStringConvertible {
    package var description: String {
        var text = InlineArray<64, CChar>(repeating: 0)
        var span = text.mutableSpan
        return unsafe span.withUnsafeMutableBufferPointer { buffer in
            // 64 bytes hold the longest address, an interface name and the NUL.
            unsafe clinux_address_write(clinux_address(self), buffer.baseAddress)
            return unsafe String(cString: buffer.baseAddress!)
        }
    }

    /// Reads a numeric address, with `%interface` where it is link-local; nil when it is not one.
    package init?(numeric text: String) {
        var address = clinux_address()
        guard unsafe clinux_address_read(text, &address) == 0 else { return nil }
        self.init(address)
    }
}
