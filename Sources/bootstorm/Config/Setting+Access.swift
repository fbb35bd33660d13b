internal import TFTPServer

extension Setting {
    /// Which clients may ask, and how much each may have.
    static let access: [Setting] = [
        network("allow-read", "Networks that may read; no other may then."),
        network("deny-read", "Networks that may not read."),
        network("allow-write", "Networks that may write; no other may then."),
        network("deny-write", "Networks that may not write."),
        limit(
            "client-transfers-max",
            "Maximum number of transfers of one client at once, in each serving thread."),
        limit(
            "client-transfers-per-second",
            "Transfers that one client may begin in a second, in each serving thread."),
        limit(
            "network-transfers-max",
            """
            Maximum number of transfers of one network (/24 of IPv4, /56 of IPv6) at once, in each serving thread.
            """),
        limit(
            "network-transfers-per-second",
            "Transfers that one network may begin in a second, in each serving thread."),
        bytes(
            "client-bytes-per-second", Access.bytesPerSecondRange, "10M",
            "Bytes that one client is sent in a second, by each serving thread."),
        bytes(
            "network-bytes-per-second", Access.bytesPerSecondRange, "100M",
            """
            Bytes that one network (/24 of IPv4, /56 of IPv6) is sent in a second, by each serving thread.
            """),
        bytes(
            "client-upload-quota", Access.quotaRange, "100M",
            "Bytes that one client may upload in a period; more is refused."),
        bytes(
            "network-upload-quota", Access.quotaRange, "1G",
            "Bytes that one network (/24 of IPv4, /56 of IPv6) may upload in a period."),
        bytes(
            "upload-quota", Access.quotaRange, "10G",
            "Bytes that all clients together may upload in a period."),
        Setting(
            key: "upload-quota-period", kind: .integer(Access.quotaSecondsRange),
            example: ["86400"], help: "Length of the period of upload quotas, in seconds."),
    ]

    private typealias Access = TFTPServer.Configuration.Access

    private static func bytes(
        _ key: String, _ range: ClosedRange<Int>, _ example: String, _ help: String
    ) -> Setting {
        Setting(key: key, kind: .byteCount(range), example: [example], help: help)
    }

    private static func network(_ key: String, _ help: String) -> Setting {
        Setting(
            key: key,
            kind: .text(expected: "a network such as 10.0.0.0/8, fd00::/8 or all") {
                TFTPServer.Network($0) != nil
            },
            isRepeatable: true, example: ["10.0.0.0/8"], help: help)
    }

    private static func limit(_ key: String, _ help: String) -> Setting {
        Setting(
            key: key, kind: .integer(Access.limitRange), example: ["16"],
            help: help)
    }
}
