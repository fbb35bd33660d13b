internal import ArgumentParser
internal import FoundationEssentials
internal import Logging
internal import TFTPCore
package import TFTPFleet
internal import TFTPPeer
internal import TFTPReactor
internal import TFTPServer

/// Which fleet is meant, and what its engine is shown.
struct FleetOptions: ParsableArguments {
    @Option(
        help: .init(
            """
            etcd://HOST[:PORT],HOST…/FLEET, or etcds:// for TLS: the fleet that this node is part of. (default: $BOOTSTORM_FLEET for \
            'fleet', none for 'serve')
            """, valueName: "url"))
    var fleet: FleetAddress?

    @Option(
        help: .init(
            "PEM files CA[,CERT,KEY]: the authority to trust, the certificate to show (without a CN) and its key.",
            valueName: "files"),
        completion: .file())
    var fleetTls: String?

    @Option(
        help: .init(
            "File with USER:PASSWORD for etcd, that only you can read.", valueName: "file"),
        completion: .file())
    var fleetAuth: String?

    func engine() throws -> (any FleetEngine)? {
        let environment = ProcessInfo.processInfo.environment
        guard
            let address = fleet
                ?? environment["BOOTSTORM_FLEET"].flatMap({ FleetAddress(argument: $0) })
        else { return nil }
        return try Self.engine(address, try access())
    }

    /// Whether a secret is among what the engine is shown.
    var hasSecrets: Bool { fleetTls != nil || fleetAuth != nil }

    /// Reads the files that the flags name. Nothing else is done: `serve` calls this while the
    /// process has one thread, and the privileges that it was started with.
    func access() throws -> EtcdFleet.Access {
        var access = EtcdFleet.Access()
        if let fleetTls {
            let files = fleetTls.split(separator: ",").map(String.init)
            guard files.count == 1 || files.count == 3 else {
                throw ValidationError("--fleet-tls is CA or CA,CERT,KEY.")
            }
            access.authority = try Self.read(files[0])
            if files.count == 3 {
                access.certificate = try Self.read(files[1])
                access.key = Array(try SecretFile(files[2]).text.utf8)
            }
        }
        if let fleetAuth {
            access.user = try SecretFile(fleetAuth).parsed { text in
                let parts = text.trimmingWhitespace()
                    .split(separator: ":", maxSplits: 1).map(String.init)
                guard parts.count == 2 else { throw ValidationError("it has no USER:PASSWORD") }
                return EtcdFleet.User(name: parts[0], password: parts[1])
            }
        }
        return access
    }

    private static func read(_ path: String) throws -> [UInt8] {
        do throws(NamedFile.Failure) {
            return try NamedFile.bytes(of: path, byteCountMax: 1 << 20)
        } catch {
            throw ValidationError("--fleet-tls: '\(path)' \(error).")
        }
    }

    static func engine(
        _ address: FleetAddress, _ access: EtcdFleet.Access
    ) throws -> any FleetEngine {
        do {
            return try EtcdFleet(address.etcd, access)
        } catch {
            throw ValidationError("--fleet-tls: no certificate or key in PEM is in the files.")
        }
    }
}

/// `etcd://HOST[:PORT],HOST…/FLEET`.
struct FleetAddress: ExpressibleByArgument {
    let etcd: EtcdFleet.Address

    init?(argument: String) {
        guard let etcd = EtcdFleet.Address(argument) else { return nil }
        self.etcd = etcd
    }
}

/// `fleet`, `hall/H`, `rack/H/R` or `node/N`.
extension FleetScope: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

/// What `serve` takes to be part of a fleet.
struct FleetNodeOptions: ParsableArguments {
    @OptionGroup var fleet: FleetOptions

    @Option(help: .init("Hall that this node is in.", valueName: "name"))
    var hall = "default"

    @Option(help: .init("Rack that this node is in.", valueName: "name"))
    var rack = "default"

    @Option(
        help: .init("Name of this node in its fleet. (default: the host's name)", valueName: "name")
    )
    var fleetNode: String?

    @Option(
        help: .init(
            "Address that this node's clients ask, for 'fleet nodes' and 'fleet dhcp'. (default: --listen)",
            valueName: "addr"))
    var fleetAddress: String?

    /// Names are parts of keys.
    func validate() throws {
        if let fleetAddress, !Self.isAddress(fleetAddress) {
            throw ValidationError(
                "--fleet-address is the address of one machine, for instance 10.1.17.1.")
        }
        for name in [hall, rack, fleetNode ?? "x"] where !FleetPlace.isName(name) {
            throw ValidationError("'\(name)' is not 1 to 64 letters, digits and '._-'.")
        }
    }

    var isNode: Bool { fleet.fleet != nil }

    /// Whether clients can ask there.
    static func isAddress(_ text: String) -> Bool {
        Endpoint(text: text, defaultPort: 69).map { !$0.address.isUnspecified && $0.port != 0 }
            ?? false
    }

    /// Where a node keeps what it was told last.
    private static func file(root: String) -> String {
        URL(filePath: root).appending(path: ".bootstorm-fleet").path
    }

    /// Whether the folder is served by a node of a fleet.
    static func isNode(root: String) -> Bool {
        FileManager.default.fileExists(atPath: file(root: root))
    }

    /// What the engine is shown, read now; nil without a fleet.
    func access() throws -> EtcdFleet.Access? { isNode ? try fleet.access() : nil }

    /// Takes part in the fleet from now on, with the tree at `root`; nil without a fleet.
    ///
    /// - Parameter access: what `access` has read.
    func join(
        root: String, listen: [String], _ access: EtcdFleet.Access?, _ node: PeerNode?,
        _ logger: Logger
    ) throws -> Task<Void, Never>? {
        guard let given = fleet.fleet, let access else { return nil }
        let place = FleetPlace(
            fleet: given.etcd.fleet, hall: hall, rack: rack,
            node: fleetNode ?? FleetNodeOptions.hostName)
        let agent = FleetAgent(
            try FleetOptions.engine(given, access), place: place,
            address: fleetAddress ?? listen.joined(separator: " "),
            file: FleetNodeOptions.file(root: root),
            actions: FleetNodeOptions.actions(root, node), logger: logger)
        return Task { await agent.run() }
    }

    private static var hostName: String {
        let name = ProcessInfo.processInfo.hostName
        return FleetPlace.isName(name) ? name : "node"
    }

    private static func actions(_ root: String, _ node: PeerNode?) -> FleetAgent.Actions {
        let snapshots = TFTPServer.Snapshots(root: root)
        @Sendable func list() async -> [TFTPServer.Snapshots.Snapshot] {
            // The disk may let one wait, which Swift's own threads must not.
            (try? await onThread { try snapshots.list() }) ?? []
        }
        return FleetAgent.Actions(
            serve: { set in
                guard await list().contains(where: { $0.name == set }) else { return false }
                _ = try await onThread { try snapshots.rollBack(to: set) }
                return true
            },
            serving: { await list().first(where: \.isCurrent)?.name },
            ready: { await list().prefix(readyMax).map(\.name) },
            bring: { set in
                guard let node else { throw NotHere(set: set) }
                try await node.bring(set)
            })
    }

    /// A set that this node does not have.
    private struct NotHere: Error, CustomStringConvertible {
        let set: String

        var description: String { "it has not been published to this node's folder" }
    }

    /// So many sets are told of.
    private static let readyMax = 32
}
