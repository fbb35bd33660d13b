internal import TFTPServing

extension TFTPServer.Configuration {
    /// Which clients may ask, and how much each may have of one serving thread.
    package struct Access: Sendable {
        /// Empty: every address.
        package var allowRead: [TFTPServer.Network] = []
        /// Stronger than `allowRead`.
        package var denyRead: [TFTPServer.Network] = []
        /// Empty: every address.
        package var allowWrite: [TFTPServer.Network] = []
        /// Stronger than `allowWrite`.
        package var denyWrite: [TFTPServer.Network] = []
        /// Transfers of one client at once; nil: as many as there are.
        package var clientTransfersMax: Int?
        /// Transfers that one client begins in a second.
        package var clientTransfersPerSecond: Int?
        /// Transfers of one network (/24 of IPv4, /56 of IPv6) at once.
        package var networkTransfersMax: Int?
        /// Transfers that one network begins in a second.
        package var networkTransfersPerSecond: Int?

        /// Everything is allowed, and nothing limited.
        package init() {}

        /// What the limits may be.
        package static let limitRange = 1...1_000_000

        var problem: String? {
            let limits = [
                clientTransfersMax, clientTransfersPerSecond, networkTransfersMax,
                networkTransfersPerSecond,
            ]
            guard limits.compactMap(\.self).allSatisfy(Access.limitRange.contains) else {
                return "limits of clients and networks are 1 to \(Access.limitRange.upperBound)"
            }
            return nil
        }

        var readers: AccessList {
            AccessList(allowed: allowRead.map(\.network), denied: denyRead.map(\.network))
        }

        var writers: AccessList {
            AccessList(allowed: allowWrite.map(\.network), denied: denyWrite.map(\.network))
        }

        var clients: RequestLimits {
            RequestLimits(
                transfersMax: clientTransfersMax, transfersPerSecond: clientTransfersPerSecond)
        }

        var networks: RequestLimits {
            RequestLimits(
                transfersMax: networkTransfersMax, transfersPerSecond: networkTransfersPerSecond)
        }
    }
}
