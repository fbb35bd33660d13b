internal import TFTPCore
internal import TFTPNames
public import TFTPSeal

extension TFTPServer {
    /// Keys that a server and its clients share, for sealed transfers. Any of them opens a request.
    public typealias SealKeys = TFTPSeal.SealKeys

    /// Addresses that begin alike.
    public struct Network: Hashable, Sendable {
        let network: TFTPCore.Network

        /// Every address.
        public static let all = Network(network: .all)

        private init(network: TFTPCore.Network) { self.network = network }

        /// Reads `ADDRESS/BITS`, such as `10.0.0.0/8` or `fd00::/8`, one address alone, or `all`;
        /// nil for anything else.
        public init?(_ text: String) {
            guard let network = TFTPCore.Network(text: text) else { return nil }
            self.network = network
        }
    }
}
