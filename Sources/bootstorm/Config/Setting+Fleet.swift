internal import TFTPFleet

/// Settings of a node that is part of a fleet.
extension Setting {
    static let fleet: [Setting] = [
        Setting(
            key: "fleet",
            kind: .text(expected: "an address such as etcd://a,b,c/FLEET") {
                FleetAddress(argument: $0) != nil
            },
            example: ["etcd://etcd1,etcd2,etcd3/prod"],
            help: "Members of etcd, and the fleet that this node is part of."),
        Setting(
            key: "fleet-tls", kind: .text(expected: "CA or CA,CERT,KEY") { !$0.isEmpty },
            example: ["/etc/bootstorm/ca.pem"],
            help: "PEM files: the authority to trust, the certificate to show and its key."),
        Setting(
            key: "fleet-auth", kind: .file, example: ["/etc/bootstorm/fleet.auth"],
            help: "File with USER:PASSWORD for etcd."),
        Setting(
            key: "hall", kind: .text(expected: "a name") { FleetPlace.isName($0) },
            example: ["default"], help: "Hall that this node is in."),
        Setting(
            key: "rack", kind: .text(expected: "a name") { FleetPlace.isName($0) },
            example: ["default"], help: "Rack that this node is in."),
        Setting(
            key: "fleet-node", kind: .text(expected: "a name") { FleetPlace.isName($0) },
            example: ["node1"], help: "Name of this node in its fleet."),
        Setting(
            key: "fleet-address",
            kind: .text(expected: "an address such as 10.1.17.1") {
                FleetNodeOptions.isAddress($0)
            },
            example: ["10.1.17.1"], help: "Address that this node's clients ask."),
    ]
}
