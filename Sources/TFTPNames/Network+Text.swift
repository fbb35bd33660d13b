package import TFTPCore

extension Network {
    /// Reads `ADDRESS/BITS`, `ADDRESS` or `all`; nil for anything else, and so for an address that
    /// names its interface.
    package init?(text: String) {
        guard text != "all" else {
            self = .all
            return
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        // A client's address is compared without the interface, so `fe80::1%eth0` would contain no
        // client.
        guard let word = parts.first, parts.count <= 2, !word.contains("%"),
            let address = Address(numericText: String(word))
        else { return nil }
        guard parts.count == 2 else {
            self.init(address)
            return
        }
        guard let number = Int(parts[1]) else { return nil }
        self.init(address, bitCount: number)
    }
}
