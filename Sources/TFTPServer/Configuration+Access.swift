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
        /// Bytes that one client is sent in a second.
        package var clientBytesPerSecond: Int?
        /// Bytes that one network is sent in a second.
        package var networkBytesPerSecond: Int?
        /// Bytes that one client may upload in a period, of all serving threads.
        package var clientUploadQuota: UInt64?
        /// Bytes that one network may upload in a period.
        package var networkUploadQuota: UInt64?
        /// Bytes that all clients together may upload in a period.
        package var uploadQuota: UInt64?
        /// How long a period is; it begins with the first upload after the last one.
        package var uploadQuotaSeconds = 86_400

        /// Everything is allowed, and nothing limited.
        package init() {}

        /// What the limits may be.
        package static let limitRange = 1...1_000_000
        /// What bytes a second may be.
        package static let bytesPerSecondRange = 1024...(1 << 40)
        /// What a quota may be.
        package static let quotaRange = 1...(1 << 62)
        /// How many seconds a period may have.
        package static let quotaSecondsRange = 1...31_536_000

        var problem: String? {
            let limits = [
                clientTransfersMax, clientTransfersPerSecond, networkTransfersMax,
                networkTransfersPerSecond,
            ]
            guard limits.compactMap(\.self).allSatisfy(Access.limitRange.contains) else {
                return "limits of clients and networks are 1 to \(Access.limitRange.upperBound)"
            }
            let rates = [clientBytesPerSecond, networkBytesPerSecond]
            guard rates.compactMap(\.self).allSatisfy(Access.bytesPerSecondRange.contains) else {
                return "bytes a second are 1 KiB to 1 TiB"
            }
            let quotas = [clientUploadQuota, networkUploadQuota, uploadQuota]
            let quotaMax = UInt64(Access.quotaRange.upperBound)
            guard quotas.compactMap(\.self).allSatisfy((1...quotaMax).contains) else {
                return "quotas of uploads are 1 byte to 4 EiB"
            }
            guard Access.quotaSecondsRange.contains(uploadQuotaSeconds) else {
                return "the period of quotas is 1 second to 1 year"
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
                transfersMax: clientTransfersMax, transfersPerSecond: clientTransfersPerSecond,
                bytesPerSecond: clientBytesPerSecond)
        }

        var networks: RequestLimits {
            RequestLimits(
                transfersMax: networkTransfersMax, transfersPerSecond: networkTransfersPerSecond,
                bytesPerSecond: networkBytesPerSecond)
        }

        var quota: UploadQuotaLimits {
            var quota = UploadQuotaLimits()
            quota.clientByteCountMax = clientUploadQuota
            quota.networkByteCountMax = networkUploadQuota
            quota.byteCountMax = uploadQuota
            quota.periodNanoseconds = UInt64(uploadQuotaSeconds) * 1_000_000_000
            return quota
        }
    }
}
