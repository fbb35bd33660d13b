import ArgumentParser
import Foundation
import TFTPServer
import Testing

@testable import bootstorm

/// Files, each with the lines that are said of it.
struct ConfigurationFileTests {
    private func errors(_ text: String) -> [String] {
        do {
            _ = try ConfigurationFile(path: "f.yaml", text: text)
            return []
        } catch {
            return error.all.map(\.description)
        }
    }

    @Test(arguments: [
        ("blksize-max: 99999", "f.yaml:1: blksize-max: 99999 is not within 8…65464"),
        (
            "# c\n\nupload: all\n",
            "f.yaml:3: upload: 'all' is not one of deny, create, existing, overwrite"
        ),
        ("blksize_max: 512", "f.yaml:1: blksize_max: unknown key; did you mean blksize-max?"),
        ("Listen: :69", "f.yaml:1: Listen: unknown key; did you mean listen?"),
        ("root:\n  a: b", "f.yaml:2: root: expected a folder"),
        (
            "listen:\n  - :69\n  - 'x:y'",
            "f.yaml:3: listen: 'x:y' is not an address such as :69, 10.0.0.1:69 or [::1]:6969"
        ),
        ("root: /a\nupload: deny\nroot: /b", "f.yaml:3: root: given twice"),
        ("- a", "f.yaml:1: expected 'key: value' lines"),
        ("just words", "f.yaml:1: expected 'key: value' lines"),
        ("policies: none", "f.yaml:1: policies: expected a list, '- network: …'"),
        ("policies:\n  - all", "f.yaml:2: policies: expected '- network: …'"),
        ("policies:\n  - blksize-max: 4", "f.yaml:2: blksize-max: 4 is not within 8…65464"),
        (
            "policies:\n  - net: all",
            "f.yaml:2: net: unknown key; allowed are network, client, "
                + "folder, read, upload, upload-max, blksize-max, windowsize-max, refuse, require-seal"
        ),
        ("policies:\n  - clients: ipxe", "f.yaml:2: clients: unknown key; did you mean client?"),
        (
            "policies:\n- network:\n  - 10.0.0.0/8\n  - 10.0.0.0/33",
            "f.yaml:4: network: '10.0.0.0/33' is not a network such as 10.0.0.0/8, fd00::/8 or all"
        ),
        (
            "policies:\n- folder: ../a",
            "f.yaml:2: folder: '../a' is not the name of a folder, such as "
                + "images/arm64"
        ),
        (
            "policies:\n- refuse: x",
            "f.yaml:2: refuse: 'x' is not one of blksize, windowsize, timeout, "
                + "tsize, offset, length, blksize2, utimeout, rollover, msftwindow"
        ),
        ("? [a]\n: b", "f.yaml:1: a key is a word"),
    ])
    func oneWrongLine(text: String, line: String) {
        #expect(errors(text) == [line])
    }

    @Test func policies() throws {
        let file = try ConfigurationFile(
            path: "f",
            text: """
                policies:
                  - network: [10.1.0.0/16, fd00::/8]
                    client: ipxe
                    folder: /images/
                    read: no
                    upload: create
                    upload-max: 1G
                    blksize-max: 1400
                    windowsize-max: 8
                    refuse: [tsize]
                    require-seal: true
                  - blksize-max: 512
                """)
        #expect(file.policies.count == 2)
        let policy = try #require(file.policies.first)
        #expect(policy.networks.count == 2)
        #expect(policy.clients.map(\.description) == ["ipxe"])
        #expect(policy.folders == ["images"])
        #expect(policy.read == false)
        #expect(policy.upload == .create)
        #expect(policy.uploadSizeMax == 1 << 30)
        #expect(policy.blksizeMax == 1400 && policy.windowsizeMax == 8)
        #expect(policy.refusedOptions == [.tsize])
        #expect(policy.requireSeal == true)
    }

    @Test func whatIsNoYAMLIsToldWithItsLine() {
        let lines = errors("root: /a\n  listen: [\n")
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("f.yaml:2:9: not YAML: ") == true)
    }

    /// All errors at once, in the order of the lines, so that a file is corrected in one go.
    @Test func everyErrorIsTold() {
        let lines = errors("upload: x\nshards: 0\nnonsense: 1\n")
        #expect(lines.map { $0.prefix(8) } == ["f.yaml:1", "f.yaml:2", "f.yaml:3"])
        // What resembles nothing gets the list of keys.
        #expect(lines.last?.contains("allowed are root, listen, ") == true)
        #expect(lines.allSatisfy { !$0.contains("\n") })
    }

    @Test(arguments: ["", "# nothing\n", "---\n", "{}"])
    func aFileThatSetsNothing(text: String) throws {
        #expect(try ConfigurationFile(path: "f", text: text).entries == [])
    }

    @Test func filesThatCannotBeRead() throws {
        let error = #expect(throws: ConfigurationErrors.self) {
            try ConfigurationFile(path: "/nowhere/f.yaml")
        }
        #expect(error?.description == "/nowhere/f.yaml: cannot be read: No such file or directory")
        let path = FileManager.default.temporaryDirectory.appending(path: "f-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let large = Data(repeating: UInt8(ascii: "#"), count: ConfigurationFile.byteCountMax + 1)
        try large.write(to: URL(filePath: path))
        let second = #expect(throws: ConfigurationErrors.self) { try ConfigurationFile(path: path) }
        #expect(second?.description == "\(path): is larger than 1 MiB")
    }

    @Test(arguments: [
        ("blksize_max", "blksize-max"), ("widnowsize-max", "windowsize-max"), ("roots", "root"),
    ])
    func spelling(word: String, meant: String) {
        let hint = Spelling.hint(for: word, among: ConfigurationFile.keys)
        #expect(hint == "did you mean \(meant)?")
    }
}

/// Flags win over the environment, and the environment over the file.
struct ServeLaunchTests {
    private func withFile(_ text: String, _ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "c-\(UUID()).yaml").path
        try Data(text.utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    /// Every subset of the three layers, for a number, a list, a truth value and the folder.
    @Test func precedence() throws {
        let file = "blksize-max: 1001\nlisten: [127.0.0.1:1001]\nno-gso: true\nroot: /1001\n"
        for layers in 0..<8 {
            let (hasFile, hasVariables, hasFlags) =
                (layers & 1 != 0, layers & 2 != 0, layers & 4 != 0)
            try withFile(hasFile ? file : "") { path in
                var arguments = ["--config", path]
                if hasFlags {
                    arguments += ["--blksize-max", "1003", "--listen=127.0.0.1:1003", "/1003"]
                }
                let variables =
                    hasVariables
                    ? [
                        "BOOTSTORM_BLKSIZE_MAX": "1002", "BOOTSTORM_ROOT": "/1002",
                        "BOOTSTORM_LISTEN": "127.0.0.1:1002, [::1]:1002",
                        "BOOTSTORM_NO_GSO": "false",
                    ] : [:]
                let serve = try ServeLaunch(arguments: arguments, environment: variables)
                    .parse().serve
                let winner = hasFlags ? 1003 : hasVariables ? 1002 : hasFile ? 1001 : nil
                #expect(serve.blksizeMax == winner.map(UInt16.init) ?? 65464)
                #expect(serve.root == [winner.map { "/\($0)" } ?? "."])
                var listen = winner.map { ["127.0.0.1:\($0)"] } ?? [":69"]
                if winner == 1002 { listen.append("[::1]:1002") }
                #expect(serve.listen == listen)
                #expect(serve.noSegmentation == (hasFile && !hasVariables))
            }
        }
    }

    @Test func theFileThatTheEnvironmentNames() throws {
        try withFile("blksize-max: 1400") { path in
            let launch = ServeLaunch(arguments: [], environment: ["BOOTSTORM_CONFIG": path])
            let named = try launch.parse().serve
            #expect(named.blksizeMax == 1400)
            let other = ServeLaunch(
                arguments: ["--config=/dev/null"], environment: ["BOOTSTORM_CONFIG": path])
            let overruled = try other.parse().serve
            #expect(overruled.blksizeMax == 65464)
        }
    }

    @Test func wrongVariables() {
        let launch = ServeLaunch(
            arguments: ["--config", "/dev/null"],
            environment: [
                "BOOTSTORM_BLKSIZE_MAX": "7", "BOOTSTORM_LISTEN": ":69,nowhere", "PATH": "x",
                "BOOTSTORM_NONSENSE": "1",
            ])
        let errors = #expect(throws: ConfigurationErrors.self) { try launch.load() }
        #expect(
            errors?.all.map(\.description) == [
                "BOOTSTORM_BLKSIZE_MAX: 7 is not within 8…65464",
                "BOOTSTORM_LISTEN: 'nowhere' is not an address such as :69, 10.0.0.1:69 or "
                    + "[::1]:6969",
            ])
    }

    @Test func variablesThatSetNothingAreNamed() throws {
        let launch = ServeLaunch(
            arguments: ["--config", "/dev/null"], environment: ["BOOTSTORM_NONSENSE": "1"])
        #expect(try launch.load().unknownVariables == ["BOOTSTORM_NONSENSE"])
    }

    /// Values that contradict each other are told of the line that one of them is on.
    @Test func contradictions() throws {
        try withFile("root: /tmp\nsnapshot-hold: 5\n") { path in
            let launch = ServeLaunch(arguments: ["--config", path], environment: [:])
            let errors = #expect(throws: ConfigurationErrors.self) { try launch.parse() }
            #expect(errors?.description.hasPrefix("\(path):2: snapshot-hold ") == true)
        }
        try withFile("single-port: true\nports: 2000-3000\n") { path in
            let launch = ServeLaunch(arguments: ["--config", path], environment: [:])
            let errors = #expect(throws: ConfigurationErrors.self) { try launch.parse() }
            #expect(errors?.description.hasPrefix("\(path): ") == true)
        }
    }

    /// What is wrong with flags alone is ArgumentParser's to tell.
    @Test func wrongFlags() throws {
        try withFile("root: /tmp\n") { path in
            let launch = ServeLaunch(
                arguments: ["--config", path, "--blksize-max", "x"], environment: [:])
            #expect(throws: (any Error).self) { try launch.parse() }
            do { _ = try launch.parse() } catch { #expect(!(error is ConfigurationErrors)) }
        }
    }
}

/// What `check` says of a file, and of what the file names.
struct CheckTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "check-\(UUID())").path
        try FileManager.default.createDirectory(
            atPath: path + "/srv", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private func lines(_ folder: String, _ text: String) throws -> [String] {
        try Data(text.utf8).write(to: URL(filePath: folder + "/c.yaml"))
        return try Check.errors(in: folder + "/c.yaml").map {
            $0.description.replacing(folder + "/", with: "")
        }
    }

    @Test func foldersAreThere() throws {
        try withFolder { folder in
            let right = try lines(folder, "root: \(folder)/srv\n")
            #expect(right == [])
            let missing = try lines(folder, "# x\nroot: [\(folder)/srv, \(folder)/nope]\n")
            #expect(missing == ["c.yaml:2: root: 'nope' does not exist"])
            let file = try lines(folder, "root: \(folder)/c.yaml\n")
            #expect(file == ["c.yaml:1: root: 'c.yaml' is not a folder"])
        }
    }

    /// With the line that names the file, also where there are other errors.
    @Test func errorsOfNamedFiles() throws {
        try withFolder { folder in
            try Data("- match: x\n  rewrit: y\n".utf8).write(to: URL(filePath: folder + "/r"))
            let map = "root: \(folder)/srv\nmap: \(folder)/r\n"
            let alone = try lines(folder, map)
            #expect(alone.count == 1)
            #expect(alone.first?.hasPrefix("c.yaml:2: r: line 2: unknown key 'rewrit'") == true)
            let both = try lines(folder, map + "shards: 0\nhosts: \(folder)/h.csv\n")
            #expect(both.count == 3)
            #expect(both.first == alone.first)
            #expect(both[1].hasPrefix("c.yaml:3: shards: "))
            #expect(both[2] == "c.yaml:4: h.csv cannot be read: No such file or directory")
        }
    }
}
