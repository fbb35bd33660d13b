internal import ArgumentParser
internal import FoundationEssentials
internal import TFTPCore
internal import TFTPFleet
internal import TFTPPeer

/// `fleet dhcp`: lines for a DHCP server, by which clients ask the node of their rack.
struct FleetDHCP: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dhcp",
        abstract: "Print the lines that tell a DHCP server which node each rack asks.",
        discussion: """
            A rack's clients are in the network around its node (--prefix), or in the one that the list names. Nodes under \
            maintenance ('fleet drain') are named only where a rack has no other. A list has a line 'HALL RACK NODE ADDRESS \
            [NETWORK]' for each node.
            """)

    @Argument(help: "DHCP server: kea, isc or dnsmasq.") var server: DHCPServer
    @Option(help: .init("Name one node for each rack, or for each hall.", valueName: "scope"))
    var per = DHCPPlan.Grouping.rack
    @Option(
        help: .init(
            "Bits that the addresses of a rack's network have in common, 1 to 32.",
            valueName: "bits"))
    var prefix = 24
    @Option(help: .init("File that clients request first.", valueName: "name"))
    var bootFile: String?
    @Option(
        help: .init(
            "File of nodes, instead of those that are registered; '-' is standard input.",
            valueName: "file"), completion: .file())
    var list: String?
    @OptionGroup var connection: FleetConnection

    func validate() throws {
        guard (1...32).contains(prefix) else { throw ValidationError("--prefix is 1 to 32 bits.") }
        guard let bootFile else { return }
        // Of the field `file` of a DHCP packet (RFC 2131 §2), and without what would need quoting.
        let isPlain = bootFile.utf8.allSatisfy {
            (0x21...0x7E).contains($0) && !"\"\\,#".utf8.contains($0)
        }
        guard isPlain, (1...127).contains(bootFile.utf8.count) else {
            throw ValidationError(
                "--boot-file is 1 to 127 printable ASCII characters without spaces, quotes, commas, '#' and backslashes."
            )
        }
    }

    func run() async throws {
        if let list {
            try write(try Self.nodes(inList: list))
            return
        }
        try await connection.run { engine in
            let nodes = FleetSummary(try await engine.read().entries).nodes
            try write(
                nodes.map {
                    DHCPPlan.Node(
                        hall: $0.hall, rack: $0.rack, name: $0.name, address: $0.address,
                        isDraining: $0.isDraining)
                })
        }
    }

    private func write(_ nodes: [DHCPPlan.Node]) throws {
        let plan: DHCPPlan
        do {
            plan = try DHCPPlan(nodes, per: per, prefix: prefix)
        } catch {
            throw Self.failure("\(list.map { "\($0): " } ?? "")\(error)")
        }
        StandardOutput.write(server.text(plan, bootFile: bootFile))
    }

    private static func nodes(inList path: String) throws -> [DHCPPlan.Node] {
        let file = path == "-" ? LocalFile(descriptor: 0) : try? LocalFile(reading: path)
        let bytes = try? file?.readToEnd(limit: .max)
        guard let bytes, let text = String(validating: bytes, as: UTF8.self) else {
            throw failure("\(path): cannot be read as text")
        }
        do {
            return try DHCPPlan.Node.list(text)
        } catch {
            throw failure("\(path): \(error)")
        }
    }

    /// Says what is wrong; the code that the command ends with.
    private static func failure(_ words: String) -> ExitCode {
        StandardError.write("bootstorm: \(words)\n")
        return .failure
    }
}

extension DHCPPlan.Grouping: ExpressibleByArgument {}

/// What the lines are for.
enum DHCPServer: String, CaseIterable, ExpressibleByArgument {
    case kea, isc, dnsmasq

    /// The lines, each scope with a comment that names its nodes.
    func text(_ plan: DHCPPlan, bootFile: String?) -> String {
        switch self {
        case .kea: kea(plan, bootFile)
        case .isc: plan.scopes.map { isc($0, bootFile) }.joined()
        case .dnsmasq: plan.scopes.map { dnsmasq($0, bootFile) }.joined()
        }
    }

    /// A member of `Dhcp4`; Kea reads comments in its JSON.
    private func kea(_ plan: DHCPPlan, _ bootFile: String?) -> String {
        var subnets: [String] = []
        for scope in plan.scopes {
            for network in scope.networks {
                let file = bootFile.map { ",\n      \"boot-file-name\": \"\($0)\"" } ?? ""
                subnets.append(
                    """
                        // \(scope.name): \(scope.nodes.joined(separator: ", "))
                        {
                          "id": \(subnets.count + 1),
                          "subnet": "\(network)",
                          "next-server": "\(scope.server)"\(file)
                        }
                    """)
            }
        }
        return "\"subnet4\": [\n\(subnets.joined(separator: ",\n"))\n]\n"
    }

    private func isc(_ scope: DHCPPlan.Scope, _ bootFile: String?) -> String {
        let file = bootFile.map { "  filename \"\($0)\";\n" } ?? ""
        return "# \(scope.name): \(scope.nodes.joined(separator: ", "))\n"
            + scope.networks.map { network in
                "subnet \(Address(ipv4: network.first)) netmask \(Address(ipv4: network.mask)) {\n"
                    + "  next-server \(scope.server);\n\(file)}\n"
            }.joined()
    }

    /// By a tag, which the `dhcp-range` of the network sets.
    private func dnsmasq(_ scope: DHCPPlan.Scope, _ bootFile: String?) -> String {
        let tag = scope.name.replacing("/", with: "-")
        let ranges = scope.networks.map { network in
            "dhcp-range=set:\(tag),\(Address(ipv4: network.first)),static,\(Address(ipv4: network.mask))\n"
        }
        return "# \(scope.name): \(scope.nodes.joined(separator: ", "))\n" + ranges.joined()
            + "dhcp-boot=tag:\(tag),\(bootFile ?? ""),,\(scope.server)\n"
    }
}
