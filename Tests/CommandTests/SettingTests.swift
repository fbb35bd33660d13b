import Foundation
import Testing

@testable import bootstorm

/// The one table of settings against the flags of `serve`, the example file and the environment.
struct SettingTests {
    /// The flags that `serve --help` shows, without dashes.
    private static var flags: Set<String> {
        let help = Serve.helpMessage(columns: 500)
        let names = help.matches(of: /(?m)^  --([a-z0-9-]+)(\/--[a-z0-9-]+)?/).map {
            String($0.output.1)
        }
        return Set(names)
    }

    /// A flag without a key could not be set in the file; a key without a flag would do nothing.
    @Test func everyFlagIsASetting() {
        let notSettings: Set = ["config", "version"]
        let keys = Set(Setting.all.map(\.key))
        #expect(Self.flags.count > 20)
        #expect(Self.flags.subtracting(notSettings).subtracting(keys).sorted() == [])
        #expect(keys.subtracting(Self.flags).sorted() == ["root"])
    }

    @Test func keysAndVariablesAreUnique() {
        #expect(Set(Setting.all.map(\.key)).count == Setting.all.count)
        #expect(Set(Setting.all.map(\.variable)).count == Setting.all.count)
        #expect(Setting.named("blksize-max")?.variable == "BOOTSTORM_BLKSIZE_MAX")
    }

    /// What the example shows is allowed, and `serve` takes it.
    @Test func examplesAreAllowed() throws {
        for setting in Setting.all {
            #expect(!setting.example.isEmpty && !setting.help.isEmpty, "\(setting.key)")
            for value in setting.example {
                #expect(setting.problem(with: value) == nil, "\(setting.key): \(value)")
            }
        }
        let text = ExampleFile.text.replacing(/(?m)^#(?=[a-z]| {2})/, with: "")
        let file = try ConfigurationFile(path: "example", text: text)
        #expect(file.entries.count == Setting.all.count)
        #expect(file.policies.count == 1)
    }

    /// The file that packages install is the one that the table comes to.
    @Test func thePackagedExampleIsTheTable() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../packaging/bootstorm.yaml").path
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text == ExampleFile.text, "bootstorm check --example >packaging/bootstorm.yaml")
    }

    @Test func theExampleSetsNothing() throws {
        #expect(try ConfigurationFile(path: "example", text: ExampleFile.text).entries == [])
        #expect(ExampleFile.text.split(separator: "\n").allSatisfy { $0.count <= 100 })
    }

    @Test(arguments: [
        ("blksize-max", "8", nil), ("blksize-max", "65464", nil),
        ("blksize-max", "7", "7 is not within 8…65464"),
        ("blksize-max", "99999", "99999 is not within 8…65464"),
        ("blksize-max", "many", "'many' is not a number within 8…65464"),
        ("windowsize-max", "0", "0 is not within 1…65535"),
        ("shards", "auto", nil), ("shards", "4", nil),
        ("shards", "0", "0 is not within 1…256"),
        ("shards", "all", "'all' is not 'auto' or a number within 1…256"),
        ("cache", "16M", nil), ("cache", "1K", "1K is not within 16M…1T"),
        ("upload", "create", nil),
        ("upload", "yes", "'yes' is not one of deny, create, existing, overwrite"),
        ("single-port", "on", nil), ("single-port", "maybe", "'maybe' is not true or false"),
        ("ports", "2000-2999", nil),
        ("ports", "2999-2000", "'2999-2000' is not FIRST-LAST, for instance 2000-2999"),
        ("ports", "0-9", "'0-9' is not FIRST-LAST, for instance 2000-2999"),
        (
            "listen", "host:69",
            "'host:69' is not an address such as :69, 10.0.0.1:69 or [::1]:6969"
        ),
        ("require-seal", "all", nil),
        ("log-level", "debug", nil),
    ])
    func problems(key: String, value: String, problem: String?) throws {
        #expect(try #require(Setting.named(key)).problem(with: value) == problem)
    }
}
