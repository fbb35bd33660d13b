import Foundation
import TFTPNames
import Testing

@testable import bootstorm

/// `map-test` says what the server would do.
struct MapTestTests {
    private func outcome(_ rules: String, _ name: String, _ flags: String...) throws -> String {
        let path = FileManager.default.temporaryDirectory.appending(path: "map-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(rules.utf8).write(to: URL(filePath: path))
        let command = try MapTest.parse(["--map", path] + flags + [name])
        return command.decide(try command.names.plan(), try command.request(name: name)) { _ in }
    }

    private let deny = "- match: '^priv/'\n  deny: 'no'\n"

    @Test func goingUp() throws {
        #expect(try outcome(deny, "x/../ok") == "refused: a name with '..'")
        #expect(try outcome(deny, "ok") == "ok")
    }

    /// The server asks the rules once more, for the name of the file that it finds.
    @Test func otherCases() throws {
        #expect(try outcome(deny, "PRIV/x") == "PRIV/x")
        let found = try outcome(deny, "PRIV/x", "--any-case", "--exists", "priv/x")
        #expect(found == "refused: no")
        let exact = try outcome(
            deny, "PRIV/x", "--any-case", "--exists", "priv/x", "--exists", "PRIV/x")
        #expect(exact == "PRIV/x")
    }

    @Test func reasons() throws {
        let restart = "- match: '^(.*)$'\n  rewrite: '$1'\n  then: restart\n"
        #expect(try outcome(restart, "x") == "refused: line 1: too many steps or restarts")
        let slow = "- match: '^(a+)+$'\n  deny: ''\n"
        let name = String(repeating: "a", count: 60) + "!"
        #expect(try outcome(slow, name) == "refused: line 1: too many steps or restarts")
    }

    @Test func rulesThatAreNoYAML() {
        let error = #expect(throws: RuleFileError.self) { try RuleFile.rules(of: "a: [") }
        #expect(error?.description.hasPrefix("line 2: not YAML: ") == true)
    }
}
