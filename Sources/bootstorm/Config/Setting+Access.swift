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
    ]

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
            key: key, kind: .integer(TFTPServer.Configuration.Access.limitRange), example: ["16"],
            help: help)
    }
}
