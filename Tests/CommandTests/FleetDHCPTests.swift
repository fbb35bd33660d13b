import Testing

@testable import bootstorm

/// What `fleet dhcp` prints, and what it refuses.
struct FleetDHCPTests {
    private static let nodes = [
        DHCPPlan.Node(hall: "north", rack: "r2", name: "n3", address: "10.1.2.1:69"),
        DHCPPlan.Node(
            hall: "north", rack: "r1", name: "n1", address: "10.1.1.1", isDraining: true),
        DHCPPlan.Node(hall: "north", rack: "r1", name: "n2", address: "[::]:69 10.1.1.2:69"),
        DHCPPlan.Node(
            hall: "south", rack: "r1", name: "n4", address: "10.2.0.1", network: "10.9.0.0/16"),
    ]

    private func text(
        _ server: DHCPServer, per grouping: DHCPPlan.Grouping = .rack, file: String? = nil
    ) throws -> String {
        server.text(
            try DHCPPlan(FleetDHCPTests.nodes, per: grouping, prefix: 24), bootFile: file)
    }

    @Test func kea() throws {
        #expect(
            try text(.kea, file: "pxelinux.0") == """
                "subnet4": [
                    // north/r1: n2, n1
                    {
                      "id": 1,
                      "subnet": "10.1.1.0/24",
                      "next-server": "10.1.1.2",
                      "boot-file-name": "pxelinux.0"
                    },
                    // north/r2: n3
                    {
                      "id": 2,
                      "subnet": "10.1.2.0/24",
                      "next-server": "10.1.2.1",
                      "boot-file-name": "pxelinux.0"
                    },
                    // south/r1: n4
                    {
                      "id": 3,
                      "subnet": "10.9.0.0/16",
                      "next-server": "10.2.0.1",
                      "boot-file-name": "pxelinux.0"
                    }
                ]

                """)
    }

    @Test func iscPerHall() throws {
        #expect(
            try text(.isc, per: .hall, file: "pxelinux.0") == """
                # north: n2, n3, n1
                subnet 10.1.1.0 netmask 255.255.255.0 {
                  next-server 10.1.1.2;
                  filename "pxelinux.0";
                }
                subnet 10.1.2.0 netmask 255.255.255.0 {
                  next-server 10.1.1.2;
                  filename "pxelinux.0";
                }
                # south: n4
                subnet 10.9.0.0 netmask 255.255.0.0 {
                  next-server 10.2.0.1;
                  filename "pxelinux.0";
                }

                """)
    }

    @Test func dnsmasq() throws {
        #expect(
            try text(.dnsmasq).hasPrefix(
                """
                # north/r1: n2, n1
                dhcp-range=set:north-r1,10.1.1.0,static,255.255.255.0
                dhcp-boot=tag:north-r1,,,10.1.1.2

                """))
    }

    @Test func aList() throws {
        let nodes = try DHCPPlan.Node.list("# h r n a\n\nnorth r1 n1 10.1.1.1 # first\na b c d e\n")
        #expect(
            nodes == [
                DHCPPlan.Node(hall: "north", rack: "r1", name: "n1", address: "10.1.1.1"),
                DHCPPlan.Node(hall: "a", rack: "b", name: "c", address: "d", network: "e"),
            ])
        let error = #expect(throws: DHCPPlan.Node.InvalidLine.self) {
            try DHCPPlan.Node.list("a b c d\na b c\n")
        }
        #expect(error?.description == "line 2 is not 'HALL RACK NODE ADDRESS [NETWORK]'")
    }

    /// A node could have written anything into its own key.
    @Test(arguments: [
        ("n1\"; } evil", "10.1.1.1", nil, "letters"), ("n1", ":69", nil, "--fleet-address"),
        ("n1", "10.1.1.1:6969", nil, "port 6969"), ("n1", "[2001:db8::1]:69", nil, "no IPv4"),
        ("n1", "127.0.0.1:69", nil, "no IPv4"), ("n1", "x\ny", nil, "no IPv4"),
        ("n1", "10.1.1.1", "10.1.1.0/33", "not a network"),
        ("n1", "10.1.1.1", "10.2.0.0/8", "both in"),
    ])
    func refusals(name: String, address: String, network: String?, words: String) {
        let node = DHCPPlan.Node(
            hall: "south", rack: "r1", name: name, address: address, network: network)
        let other = DHCPPlan.Node(hall: "north", rack: "r1", name: "n0", address: "10.3.0.1")
        let error = #expect(throws: DHCPPlan.Refusal.self) {
            try DHCPPlan([node, other], per: .rack, prefix: 24)
        }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("\n") == false)
    }

    @Test func noNodes() {
        #expect(throws: DHCPPlan.Refusal.noNodes) { try DHCPPlan([], per: .rack, prefix: 24) }
    }
}
