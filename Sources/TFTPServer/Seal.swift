internal import TFTPReactor
public import TFTPSeal
internal import TFTPServing

extension TFTPServer {
    /// Keys that a server and its clients share, for sealed transfers. Any of them opens a request.
    public typealias SealKeys = TFTPSeal.SealKeys

    /// Addresses that begin alike.
    public struct Network: Hashable, Sendable {
        let network: TFTPServing.Network

        /// Every address.
        public static let all = Network(network: .all)

        private init(network: TFTPServing.Network) { self.network = network }

        /// Reads `ADDRESS/BITS`, such as `10.0.0.0/8` or `fd00::/8`, one address alone, or `all`;
        /// nil for anything else.
        public init?(_ text: String) {
            guard let network = TFTPServing.Network(text: text) else { return nil }
            self.network = network
        }
    }
}
