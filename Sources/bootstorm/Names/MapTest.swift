internal import ArgumentParser
internal import TFTPCore
internal import TFTPNames
internal import TFTPWire

/// `bootstorm map-test`: what rules make of a name.
struct MapTest: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "map-test",
        abstract: "Show what rules make of a name.",
        discussion: """
            Prints each rule that has an effect and the names that are looked up in the end, or why the request is refused. \
            No file is looked up: with --any-case, name by --exists what a file is called. With --expect, each line of a file has a direction (read or write), a client's address \
            or '-', the name, '=>' and the expected result: a name, several names, 'refused', or 'template FILE'. The exit \
            code is 1 when an expectation is not met.
            """)

    @OptionGroup var names: NameOptions

    @Option(help: .init("Address of the client.", valueName: "addr"))
    var client = "192.0.2.1"

    @Option(help: .init("Address that was asked.", valueName: "addr"))
    var server = "192.0.2.254"

    @Option(help: .init("Ethernet address of the client.", valueName: "mac"))
    var mac: String?

    @Option(help: .init("Kind of the client, for instance ipxe.", valueName: "kind"))
    var kind: String?

    @Flag(help: "The client writes (WRQ).")
    var write = false

    @Option(
        help: .init("Name that exists; repeatable. For rules that ask for that.", valueName: "name")
    )
    var exists: [String] = []

    @Option(help: .init("File of expectations.", valueName: "file"), completion: .file())
    var expect: String?

    @Argument(help: "Names as clients ask for them.")
    var name: [String] = []

    func validate() throws {
        if expect == nil && name.isEmpty {
            throw ValidationError("give a name, or a file of expectations with --expect.")
        }
        _ = try request(name: "x")
    }

    func run() throws {
        let plan = try names.plan()
        let hosts = try names.hosts.map { try HostsFile.read($0) } ?? .empty
        for name in name {
            var request = try request(name: name)
            hosts.complete(&request)
            StandardOutput.write("\(name)\n")
            let outcome = decide(plan, request) { step in
                StandardOutput.write("  line \(step.line): \(MapTest.text(step.event))\n")
            }
            StandardOutput.write("  => \(outcome)\n")
        }
        if let expect { try check(expect, plan, hosts) }
    }

    func request(name: String) throws -> NameRequest {
        guard let client = Address(numericText: client), let server = Address(numericText: server)
        else { throw ValidationError("--client and --server are numeric addresses.") }
        var request = NameRequest(
            name: Array(name.utf8), direction: write ? .wrq : .rrq, client: client, server: server)
        if let mac {
            guard let address = MACAddress(text: mac) else {
                throw ValidationError("'\(mac)' is not an Ethernet address.")
            }
            request.mac = address
        }
        if let kind {
            guard let known = Fingerprint.allCases.first(where: { "\($0)" == kind }) else {
                let all = Fingerprint.allCases.map { "\($0)" }.joined(separator: ", ")
                throw ValidationError("'\(kind)' is not one of \(all).")
            }
            request.kind = known
        }
        return request
    }

    func decide(
        _ plan: NamePlan, _ request: NameRequest, note: (NameStep) -> Void
    ) -> String {
        let existing = exists
        if plan.refusesGoingUp(request.name) { return "refused: a name with '..'" }
        let decision = plan.decide(
            request, exists: { existing.contains(String(decoding: $0, as: UTF8.self)) }, note: note)
        switch decision {
        case .files(let candidates):
            if let refusal = refusalOfOtherCase(plan, request, candidates.map(\.name)) {
                return MapTest.text(refusal)
            }
            return candidates.map { String(decoding: $0.name, as: UTF8.self) }
                .joined(separator: " ")
        case .template(let path, _): return "template \(path)"
        case .refused(let refusal): return MapTest.text(refusal)
        }
    }

    /// With --any-case the server asks the rules for the name of the file that it finds. A file of
    /// exactly the requested name comes first.
    private func refusalOfOtherCase(
        _ plan: NamePlan, _ request: NameRequest, _ names: [[UInt8]]
    ) -> NameRefusal? {
        guard plan.isAnyCase else { return nil }
        let existing = exists.map { Array($0.utf8) }
        for name in names {
            if existing.contains(name) { return nil }
            let folded = name.map(MapTest.lowercased)
            let same = existing.filter { $0.map(MapTest.lowercased) == folded }
            // Of several files the server takes the first in the order of bytes.
            guard let found = same.min(by: { $0.lexicographicallyPrecedes($1) }) else { continue }
            var request = request
            request.name = found
            guard case .refused(let refusal) = plan.decide(request) else { return nil }
            return refusal
        }
        return nil
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte ? byte | 0x20 : byte
    }

    private static func text(_ refusal: NameRefusal) -> String {
        let reason: String? =
            switch refusal.cause {
            case .rule: nil
            case .tooManySteps(let line): "line \(line): too many steps or restarts"
            case .tooLong(let line): "line \(line): the name becomes too long"
            case .goesUp: "a name with '..'"
            case .noLabel(let line): "line \(line): no such label"
            }
        let words = [refusal.message, reason].compactMap { $0 }
        return (["refused"] + words).joined(separator: ": ")
    }

    private static func text(_ event: NameStep.Event) -> String {
        switch event {
        case .matched: "matches"
        case .rewritten(let name): String(decoding: name, as: UTF8.self)
        case .undone: "undone: no such file"
        case .exhausted: "undone: too many steps"
        case .restarted: "restart"
        case .jumped(let label): "jump to \(label)"
        case .stopped: "stop"
        case .refused: "refuse"
        case .template(let path): "template \(path)"
        case .root(let path): "root \(path)"
        }
    }

    // MARK: Expectations

    private func check(_ path: String, _ plan: NamePlan, _ hosts: HostTable) throws {
        let text = String(decoding: try RuleFile.bytes(of: path), as: UTF8.self)
        var (count, failures) = (0, 0)
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            guard let expectation = try Expectation(line, at: "\(path): line \(index + 1)") else {
                continue
            }
            count += 1
            var request = try request(name: expectation.name)
            request.direction = expectation.direction
            if let client = expectation.client { request.client = client }
            hosts.complete(&request)
            let outcome = decide(plan, request) { _ in }
            // A refusal may be expected whatever its words are.
            if outcome == expectation.outcome || outcome.hasPrefix("\(expectation.outcome):") {
                continue
            }
            failures += 1
            StandardOutput.write(
                "\(path): line \(index + 1): expected \(expectation.outcome), got \(outcome)\n")
        }
        StandardOutput.write("\(count - failures) of \(count) expectations met\n")
        if failures > 0 { throw ExitCode.failure }
    }

    private struct Expectation {
        let direction: Opcode
        let client: Address?
        let name: String
        let outcome: String

        /// nil for an empty line and a comment.
        init?(_ line: Substring, at place: String) throws {
            let words = line.split { $0 == " " || $0 == "\t" || $0 == "\r" }.map(String.init)
            guard let first = words.first, !first.hasPrefix("#") else { return nil }
            let directions: [String: Opcode] = ["read": .rrq, "write": .wrq]
            guard words.count >= 5, let direction = directions[first], words[3] == "=>" else {
                throw ValidationError("\(place): write 'read|write CLIENT NAME => OUTCOME'")
            }
            client = words[1] == "-" ? nil : Address(numericText: words[1])
            if words[1] != "-" && client == nil {
                throw ValidationError("\(place): '\(words[1])' is not an address or '-'")
            }
            self.direction = direction
            name = words[2]
            outcome = words[4...].joined(separator: " ")
        }
    }
}
