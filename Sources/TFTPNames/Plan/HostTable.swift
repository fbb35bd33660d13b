package import TFTPCore

/// What a hosts file says of machines.
package struct HostTable: Sendable {
    package struct Host: Equatable, Sendable {
        package var name: String?
        package var serial: String?
        package var mac: MACAddress?
        package var address: Address?
        /// The other columns.
        package var fields: [String: String] = [:]

        package init() {}
    }

    private let hosts: [Host]
    private let byMAC: [MACAddress: Int]
    private let byAddress: [Address: Int]

    package static let hostsMax = 65_536

    package static let empty = HostTable([])

    /// Of several hosts with one address the first counts.
    package init(_ hosts: [Host]) {
        self.hosts = hosts
        byMAC = Dictionary(
            hosts.enumerated().compactMap { index, host in host.mac.map { ($0, index) } },
            uniquingKeysWith: { first, _ in first })
        byAddress = Dictionary(
            hosts.enumerated().compactMap { index, host in host.address.map { ($0, index) } },
            uniquingKeysWith: { first, _ in first })
    }

    package var count: Int { hosts.count }

    /// The host of an Ethernet address, or else of an IP address.
    package func host(mac: MACAddress?, address: Address) -> Host? {
        if let mac, let index = byMAC[mac] { return hosts[index] }
        return byAddress[address].map { hosts[$0] }
    }

    /// Writes into a request what is known of its client.
    package func complete(_ request: inout NameRequest) {
        guard let host = host(mac: request.mac, address: request.client) else { return }
        if request.mac == nil { request.mac = host.mac }
        if request.hostName == nil { request.hostName = host.name }
        if request.serial == nil { request.serial = host.serial }
        request.hostFields = host.fields
    }
}
