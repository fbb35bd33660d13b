internal import TFTPCore
internal import TFTPFleet
internal import TFTPReactor
internal import TFTPServer

/// Which node the clients of each rack or hall are to ask, for a DHCP server to tell them.
struct DHCPPlan: Equatable {
    /// A node as it is registered, or as a list has it.
    struct Node: Equatable {
        var hall: String
        var rack: String
        var name: String
        /// `ADDRESS` or `ADDRESS:PORT`; several with spaces between.
        var address: String
        /// Where its clients are, as `ADDRESS/BITS`; nil: around its own address.
        var network: String?
        var isDraining = false
    }

    enum Grouping: String, CaseIterable, Sendable { case rack, hall }

    /// Clients that are told of the same node.
    struct Scope: Equatable {
        /// `HALL` or `HALL/RACK`.
        let name: String
        /// The node that is asked comes first.
        let nodes: [String]
        let server: Address
        let networks: [IPv4Network]
    }

    /// Addresses that begin alike.
    struct IPv4Network: Hashable, CustomStringConvertible {
        let first: UInt32
        let bitCount: Int

        var mask: UInt32 { bitCount == 0 ? 0 : .max << UInt32(32 - bitCount) }

        init(containing address: UInt32, bitCount: Int) {
            self.bitCount = bitCount
            first = address & (bitCount == 0 ? 0 : .max << UInt32(32 - bitCount))
        }

        /// Reads `ADDRESS/BITS`.
        init?(_ text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 2, let address = Address(numeric: String(parts[0])),
                address.isIPv4, let bits = Int(parts[1]), (1...32).contains(bits)
            else { return nil }
            self.init(containing: address.ipv4, bitCount: bits)
        }

        func overlaps(_ other: IPv4Network) -> Bool {
            (first ^ other.first) & mask & other.mask == 0
        }

        var description: String { "\(Address(ipv4: first))/\(bitCount)" }
    }

    /// Why there are no lines; one line each.
    enum Refusal: Error, Equatable, CustomStringConvertible {
        case noNodes
        case invalidName(String)
        case noAddress(node: String, address: String)
        case otherPort(node: String, port: UInt16)
        case invalidNetwork(node: String, text: String)
        case sharedNetwork(String, String, IPv4Network)

        var description: String {
            switch self {
            case .noNodes: "no node is registered; start nodes with --fleet, or give --list"
            case .invalidName(let name):
                "'\(name.inOneLine)' is not 1 to 64 letters, digits and '._-'"
            case .noAddress(let node, let address):
                "\(node) is registered with '\(address.inOneLine)', which has no IPv4 address of one machine; start it with --fleet-address"
            case .otherPort(let node, let port):
                "\(node) answers on port \(port), but DHCP names no port: clients ask port 69"
            case .invalidNetwork(let node, let text):
                "\(node): '\(text.inOneLine)' is not a network such as 10.1.17.0/24"
            case .sharedNetwork(let one, let other, let network):
                "\(one) and \(other) are both in \(network); change --prefix, or name networks in a list"
            }
        }
    }

    let scopes: [Scope]

    /// - Parameter prefix: how many bits the addresses of a rack have in common.
    init(_ nodes: [Node], per grouping: Grouping, prefix: Int) throws(Refusal) {
        guard !nodes.isEmpty else { throw .noNodes }
        // Whatever is registered was written by a node, and ends in another server's file.
        for name in nodes.flatMap({ [$0.hall, $0.rack, $0.name] }) where !FleetPlace.isName(name) {
            throw .invalidName(name)
        }
        let groups = Dictionary(grouping: nodes) { node in
            grouping == .hall ? node.hall : "\(node.hall)/\(node.rack)"
        }
        var scopes: [Scope] = []
        for (name, members) in groups.sorted(by: { $0.key < $1.key }) {
            scopes.append(try DHCPPlan.scope(name, members, prefix))
        }
        try DHCPPlan.checkNetworks(of: scopes)
        self.scopes = scopes
    }

    /// A node under maintenance is named only where there is no other.
    private static func scope(
        _ name: String, _ members: [Node], _ prefix: Int
    ) throws(Refusal) -> Scope {
        let ordered = members.sorted {
            ($0.isDraining ? 1 : 0, $0.name) < ($1.isDraining ? 1 : 0, $1.name)
        }
        var servers: [Address] = []
        var networks: [IPv4Network] = []
        for node in ordered {
            let address = try self.address(of: node)
            let network: IPv4Network
            if let text = node.network {
                guard let given = IPv4Network(text) else {
                    throw .invalidNetwork(node: node.name, text: text)
                }
                network = given
            } else {
                network = IPv4Network(containing: address.ipv4, bitCount: prefix)
            }
            servers.append(address)
            if !networks.contains(network) { networks.append(network) }
        }
        return Scope(
            name: name, nodes: ordered.map(\.name), server: servers[0], networks: networks)
    }

    private static func address(of node: Node) throws(Refusal) -> Address {
        let endpoints = node.address.split(separator: " ").compactMap {
            Endpoint(text: String($0), defaultPort: 69)
        }
        let usable = endpoints.filter {
            $0.address.isIPv4 && !$0.address.isUnspecified && !$0.address.isLoopback
                && !$0.address.isMulticastOrBroadcast
        }
        guard let first = usable.first else {
            throw .noAddress(node: node.name, address: node.address)
        }
        guard let server = usable.first(where: { $0.port == 69 }) else {
            throw .otherPort(node: node.name, port: first.port)
        }
        return server.address
    }

    /// A client's network decides which node it is told of.
    private static func checkNetworks(of scopes: [Scope]) throws(Refusal) {
        for (index, scope) in scopes.enumerated() {
            for other in scopes.dropFirst(index + 1) {
                for network in scope.networks {
                    guard let shared = other.networks.first(where: network.overlaps) else {
                        continue
                    }
                    throw .sharedNetwork(scope.name, other.name, shared)
                }
            }
        }
    }
}

// MARK: A list

extension DHCPPlan.Node {
    /// Why a list cannot be read: the line, and what is wrong with it.
    struct InvalidLine: Error, CustomStringConvertible {
        let line: Int

        var description: String { "line \(line) is not 'HALL RACK NODE ADDRESS [NETWORK]'" }
    }

    /// Nodes by lines; what stands behind `#` is a comment.
    static func list(_ text: String) throws(InvalidLine) -> [DHCPPlan.Node] {
        var nodes: [DHCPPlan.Node] = []
        for (index, line) in text.split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline
        )
        .enumerated() {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
                .map(String.init)
            guard !words.isEmpty else { continue }
            guard (4...5).contains(words.count) else { throw InvalidLine(line: index + 1) }
            nodes.append(
                DHCPPlan.Node(
                    hall: words[0], rack: words[1], name: words[2], address: words[3],
                    network: words.count == 5 ? words[4] : nil))
        }
        return nodes
    }
}
