internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc
internal import TFTPFleet
internal import TFTPServer

/// `bootstorm fleet`: what the nodes of a fleet serve.
struct Fleet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show and change what the nodes of a fleet serve.",
        discussion: """
            A set is a published snapshot. 'stage' tells nodes to fetch it, 'promote' tells them to serve it, 'rollback' tells them \
            to serve the one before. A SCOPE is fleet, hall/H, rack/H/R or node/N; the narrowest that has a snapshot wins.
            """,
        subcommands: [
            FleetStatus.self, FleetNodes.self, FleetStage.self, FleetPromote.self,
            FleetRollback.self, FleetDrain.self, FleetHistory.self, FleetDHCP.self,
        ])
}

/// What all of them share.
struct FleetConnection: ParsableArguments {
    @OptionGroup var fleet: FleetOptions

    /// Does something with the engine; says on standard error why it cannot be done.
    func run(_ body: (any FleetEngine) async throws -> Void) async throws {
        guard let engine = try fleet.engine() else {
            throw ValidationError("Name the fleet with --fleet or $BOOTSTORM_FLEET.")
        }
        do {
            try await body(engine)
        } catch let error as FleetFailure {
            StandardError.write("bootstorm: \(error)\n")
            throw ExitCode.failure
        } catch let error as Promotion.Refusal {
            StandardError.write("bootstorm: \(error)\n")
            throw ExitCode.failure
        }
    }

    /// Changes something. Where another operator has changed the same meanwhile, nothing is done a
    /// second time: what was asked for may not be wanted any more.
    func change(
        _ body: ([FleetKey: FleetView.Entry]) throws(Promotion.Refusal) -> GuardedChange
    ) async throws {
        try await run { engine in
            if try await engine.change(try body(try await engine.read().entries)) { return }
            StandardError.write(
                "bootstorm: another operator has changed the same meanwhile; this command changed nothing: see 'bootstorm fleet status'\n"
            )
            throw ExitCode.failure
        }
    }

    /// The user who changes something, for the history.
    static var who: String {
        let environment = ProcessInfo.processInfo.environment
        return environment["SUDO_USER"] ?? environment["USER"] ?? accountName
    }

    private static var accountName: String {
        // The entry is valid until the next call, and its text is copied at once.
        guard let entry = unsafe getpwuid(geteuid()), let name = unsafe entry.pointee.pw_name else {
            return "uid \(geteuid())"
        }
        return unsafe String(cString: name)
    }

    /// Refuses what no published set can be called.
    static func checkSet(_ name: String) throws {
        guard TFTPServer.Snapshots.isName(name) else {
            throw ValidationError(
                "A set's name is 1 to 100 letters, digits and '._+-', with a letter or digit first."
            )
        }
    }

    static var seconds: Int { Int(Date().timeIntervalSince1970) }
}

/// `fleet status`: what is to be served where, and which nodes are behind.
struct FleetStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what each scope serves, and exit with 1 when a node is behind.")

    @OptionGroup var connection: FleetConnection

    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        try await connection.run { engine in
            let entries = try await engine.read().entries
            let summary = FleetSummary(entries)
            StandardOutput.write(json ? try summary.jsonLine : summary.text)
            if summary.nodes.contains(where: { !$0.isCurrent }) { throw ExitCode(1) }
        }
    }
}

/// `fleet nodes`.
struct FleetNodes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "List the nodes that are online.")

    @OptionGroup var connection: FleetConnection

    func run() async throws {
        try await connection.run { engine in
            for node in FleetSummary(try await engine.read().entries).nodes {
                StandardOutput.write(node.line)
            }
        }
    }
}

/// `fleet stage`.
struct FleetStage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stage", abstract: "Tell nodes to fetch a set without serving it.")

    @Argument(help: "The set.") var set: String
    @Option(help: .init("SCOPE that fetches it.", valueName: "scope")) var to = FleetScope.fleet
    @OptionGroup var connection: FleetConnection

    func validate() throws { try FleetConnection.checkSet(set) }

    func run() async throws {
        let value = StagedSet(set: set, by: FleetConnection.who, at: FleetConnection.seconds)
        try await connection.change { _ in
            var change = GuardedChange()
            change.puts[.stage(to)] = FleetValue.text(value)
            return change
        }
        StandardOutput.write("\(to) brings \(set)\n")
    }
}

/// `fleet promote`.
struct FleetPromote: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote", abstract: "Tell nodes to serve a set.")

    @Argument(help: "The set.") var set: String
    @Option(help: .init("SCOPE that serves it.", valueName: "scope")) var to = FleetScope.fleet
    @Option(
        help: .init(
            "Share of the scope's nodes, in percent, that must have the set already.",
            valueName: "percent"))
    var atLeast = 0
    @Option(help: .init("Why, for the history.", valueName: "text")) var reason: String?
    @OptionGroup var connection: FleetConnection

    func validate() throws {
        guard (0...100).contains(atLeast) else {
            throw ValidationError("--at-least is 0 to 100 percent.")
        }
        try FleetConnection.checkSet(set)
    }

    func run() async throws {
        var readyCount = 0
        try await connection.change { entries throws(Promotion.Refusal) in
            readyCount = Promotion.readyCount(set, to, in: entries).ready
            return try Promotion.promote(
                set, to: to, by: FleetConnection.who, at: FleetConnection.seconds, reason: reason,
                atLeast: Double(atLeast) / 100, in: entries)
        }
        StandardOutput.write("\(to) serves \(set)\n")
        guard readyCount == 0 else { return }
        StandardError.write(
            "bootstorm: no node of \(to) has '\(set)' yet; check its name, publish it or stage it\n"
        )
    }
}

/// `fleet rollback`.
struct FleetRollback: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Tell nodes to serve the set that they served before.")

    @Argument(help: "The set to go back from; fails if another one is served by now.")
    var set: String?
    @Option(help: .init("SCOPE that goes back.", valueName: "scope")) var to = FleetScope.fleet
    @Option(help: .init("Why, for the history.", valueName: "text")) var reason: String?
    @OptionGroup var connection: FleetConnection

    func run() async throws {
        try await connection.change { entries throws(Promotion.Refusal) in
            try Promotion.rollBack(
                to, from: set, by: FleetConnection.who, at: FleetConnection.seconds,
                reason: reason, in: entries)
        }
        StandardOutput.write("\(to) serves what it served before\n")
    }
}

/// `fleet drain`.
struct FleetDrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain", abstract: "Take a node out of service for maintenance.")

    @Argument(help: "The node's name.") var node: String
    @Flag(help: "Put the node back into service.") var undo = false
    @OptionGroup var connection: FleetConnection

    func run() async throws {
        try await connection.change { entries throws(Promotion.Refusal) in
            try Promotion.drain(node, isDraining: !undo, in: entries)
        }
        StandardOutput.write("\(node) is \(undo ? "in" : "drained")\n")
    }
}

/// `fleet history`.
struct FleetHistory: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "List what was served when, and by whose order.")

    @OptionGroup var connection: FleetConnection

    func run() async throws {
        try await connection.run { engine in
            let entries = try await engine.read().entries
            let lines = entries.compactMap { key, entry -> (Int, String)? in
                guard case .history(let text) = key,
                    let scope = text.split(separator: "/", maxSplits: 1).last,
                    let value = FleetValue.read(CurrentSet.self, entry.text)
                else { return nil }
                let reason = value.reason.map { "  \($0)" } ?? ""
                return (
                    value.at,
                    "\(timestamp(value.at))  \(scope)  \(value.set)  \(value.by)\(reason)"
                )
            }
            for line in lines.sorted(by: { $0.0 > $1.0 }) {
                StandardOutput.write(line.1.inOneLine + "\n")
            }
        }
    }
}

/// What is to be served, and which nodes do.
struct FleetSummary: Encodable {
    struct Scope: Encodable {
        let scope: String
        let set: String
        let by: String
        let at: Int
    }

    struct Node: Encodable {
        let name: String
        let hall: String
        let rack: String
        let address: String
        let serving: String?
        let isDraining: Bool
        /// Whether it serves what it is to serve.
        let isCurrent: Bool

        var line: String {
            "\(hall)/\(rack)/\(name)  \(address)  \(serving ?? "-")\(isCurrent ? "" : "  behind")\(isDraining ? "  drained" : "")"
                .inOneLine + "\n"
        }
    }

    let scopes: [Scope]
    let nodes: [Node]

    init(_ entries: [FleetKey: FleetView.Entry]) {
        scopes = entries.compactMap { key, entry in
            guard case .current(let scope) = key,
                let value = FleetValue.read(CurrentSet.self, entry.text)
            else { return nil }
            return Scope(scope: "\(scope)", set: value.set, by: value.by, at: value.at)
        }.sorted { $0.scope < $1.scope }
        nodes = entries.compactMap { key, entry in
            guard case .node(let hall, let rack, let node) = key,
                let report = FleetValue.read(NodeReport.self, entry.text)
            else { return nil }
            var view = FleetView(
                place: FleetPlace(fleet: "", hall: hall, rack: rack, node: node))
            view.apply(.all(entries, 0), now: .zero)
            let wanted = view.current?.set.set
            return Node(
                name: node, hall: hall, rack: rack, address: report.address,
                serving: report.serving, isDraining: view.isDraining,
                isCurrent: wanted == nil || wanted == report.serving)
        }.sorted { ($0.hall, $0.rack, $0.name) < ($1.hall, $1.rack, $1.name) }
    }

    var text: String {
        let scopeLines = scopes.map { scope in
            "\(scope.scope)  \(scope.set)  since \(timestamp(scope.at))  by \(scope.by)"
                .inOneLine + "\n"
        }
        let behind = nodes.filter { !$0.isCurrent }
        return scopeLines.joined()
            + "\(nodes.count) nodes, \(behind.count) behind\n" + behind.map(\.line).joined()
    }
}
