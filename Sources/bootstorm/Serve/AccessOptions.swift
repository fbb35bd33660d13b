internal import ArgumentParser
internal import TFTPServer

/// The flags that say which clients may ask, and how much each may have.
struct AccessOptions: ParsableArguments {
    @Option(
        help: .init(
            "Network (ADDRESS/BITS) that may read; no other may then. Repeatable.",
            valueName: "network"),
        transform: { try Serve.network($0) })
    var allowRead: [TFTPServer.Network] = []

    @Option(
        help: .init("Network (ADDRESS/BITS) that may not read; repeatable.", valueName: "network"),
        transform: { try Serve.network($0) })
    var denyRead: [TFTPServer.Network] = []

    @Option(
        help: .init(
            "Network (ADDRESS/BITS) that may write; no other may then. Repeatable.",
            valueName: "network"),
        transform: { try Serve.network($0) })
    var allowWrite: [TFTPServer.Network] = []

    @Option(
        help: .init("Network (ADDRESS/BITS) that may not write; repeatable.", valueName: "network"),
        transform: { try Serve.network($0) })
    var denyWrite: [TFTPServer.Network] = []

    @Option(
        help: .init(
            "Maximum number of transfers of one client at once, in each serving thread.",
            valueName: "count"))
    var clientTransfersMax: Int?

    @Option(
        help: .init(
            "Transfers that one client may begin in a second, in each serving thread.",
            valueName: "count"))
    var clientTransfersPerSecond: Int?

    @Option(
        help: .init(
            """
            Maximum number of transfers of one network (/24 of IPv4, /56 of IPv6) at once, in each serving thread.
            """, valueName: "count"))
    var networkTransfersMax: Int?

    @Option(
        help: .init(
            "Transfers that one network may begin in a second, in each serving thread.",
            valueName: "count"))
    var networkTransfersPerSecond: Int?

    @Option(
        help: .init(
            "Bytes that one client is sent in a second, by each serving thread, for instance 10M.",
            valueName: "bytes"))
    var clientBytesPerSecond: ByteCount?

    @Option(
        help: .init(
            """
            Bytes that one network (/24 of IPv4, /56 of IPv6) is sent in a second, by each serving thread.
            """, valueName: "bytes"))
    var networkBytesPerSecond: ByteCount?

    @Option(
        help: .init(
            "Bytes that one client may upload in a period; more is refused.", valueName: "bytes"))
    var clientUploadQuota: ByteCount?

    @Option(
        help: .init(
            "Bytes that one network (/24 of IPv4, /56 of IPv6) may upload in a period.",
            valueName: "bytes"))
    var networkUploadQuota: ByteCount?

    @Option(
        help: .init(
            "Bytes that all clients together may upload in a period.", valueName: "bytes"))
    var uploadQuota: ByteCount?

    @Option(
        help: .init("Length of the period of upload quotas.", valueName: "seconds"))
    var uploadQuotaPeriod = 86_400

    func apply(to server: inout TFTPServer.Configuration) {
        server.access.allowRead = allowRead
        server.access.denyRead = denyRead
        server.access.allowWrite = allowWrite
        server.access.denyWrite = denyWrite
        server.access.clientTransfersMax = clientTransfersMax
        server.access.clientTransfersPerSecond = clientTransfersPerSecond
        server.access.networkTransfersMax = networkTransfersMax
        server.access.networkTransfersPerSecond = networkTransfersPerSecond
        server.access.clientBytesPerSecond = clientBytesPerSecond?.value
        server.access.networkBytesPerSecond = networkBytesPerSecond?.value
        server.access.clientUploadQuota = clientUploadQuota.map { UInt64($0.value) }
        server.access.networkUploadQuota = networkUploadQuota.map { UInt64($0.value) }
        server.access.uploadQuota = uploadQuota.map { UInt64($0.value) }
        server.access.uploadQuotaSeconds = uploadQuotaPeriod
    }
}
