internal import TFTPCore
internal import TFTPNames

/// What the resolver knows of clients beyond their requests.
struct NameClients {
    private var neighbours = NeighbourTable()
    /// Serial numbers that clients have asked with, which they leave out of later requests.
    private var serials: [Address: String] = [:]

    private static let serialsMax = 4096

    /// Writes into a request what is known of its client.
    mutating func complete(_ request: inout NameRequest, _ hosts: HostTable, now: UInt64) {
        request.mac = neighbours.mac(of: request.client, now: now)
        hosts.complete(&request)
        if let serial = NamePlan.serial(in: request.name) {
            if serials.count >= NameClients.serialsMax { serials.removeAll() }
            serials[request.client] = serial
        }
        if request.serial == nil { request.serial = serials[request.client] }
    }
}
