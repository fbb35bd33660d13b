import Foundation
import Testing

@testable import Sandbox

/// Each wall is raised around a process that tries to pass it from inside.
struct WallTests {
    private static let isRoot = geteuid() == 0

    private static var probe: URL {
        URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "SandboxProbe")
    }

    /// What the probe prints, with a root folder and one outside of it.
    private func run(
        _ wall: String, user: String? = nil, rootMode: Int = 0o755
    ) throws -> [String] {
        let folder = FileManager.default.temporaryDirectory.appending(path: "walls-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["root", "outside"] {
            let place = folder.appending(path: name)
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
            try Data("content".utf8).write(to: place.appending(path: "file"))
            let path = place.appending(path: "file").path
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        }
        let root = folder.appending(path: "root").path
        try FileManager.default.setAttributes([.posixPermissions: rootMode], ofItemAtPath: root)
        let output = Pipe()
        let process = Process()
        process.executableURL = WallTests.probe
        process.arguments =
            [wall, root, folder.appending(path: "outside").path] + (user.map { [$0] } ?? [])
        process.standardOutput = output
        try process.run()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return text.split(separator: "\n").map(String.init)
    }

    @Test(arguments: [
        "capabilities", "privileges", "core", "execute", "fork", "trace", "mount", "raw",
        "namespace", "ring",
    ])
    func stands(wall: String) throws {
        #expect(try run(wall).last == "stands")
    }

    @Test(.enabled(if: isRoot, "needs root"), arguments: ["user", "groups", "signal"])
    func standsAfterRoot(wall: String) throws {
        #expect(try run(wall).last == "stands")
    }

    /// A rule of ours that the kernel refuses is no kernel without the wall.
    @Test func onlyAnAbsentWallIsLeftOut() {
        #expect(Sandbox.isAbsent(-ENOSYS))
        #expect(Sandbox.isAbsent(-EOPNOTSUPP))
        #expect(!Sandbox.isAbsent(-EINVAL))
        #expect(!Sandbox.isAbsent(0))
    }

    @Test(
        .enabled(if: SandboxState.landlockVersion > 0, "needs Landlock"),
        arguments: ["read", "climb", "write", "remove"])
    func files(wall: String) throws {
        #expect(try run(wall, rootMode: 0o700).last == "stands")
    }

    /// What a server is for still works, whatever it was started as.
    @Test(arguments: ["serve", "upload"])
    func theServerWorks(wall: String) throws {
        #expect(try run(wall).last == "stands")
        #expect(try run(wall, rootMode: 0o700).last == "stands")
    }

    @Test(.enabled(if: isRoot, "needs root"))
    func theDefaultUser() throws {
        let lines = try run("serve")
        #expect(
            lines.first == "user nobody owner \(UInt32.max)"
                || lines.first?.contains("bootstorm") == true)
    }

    /// A user without access to the folder accesses files as the folder's owner, and nothing else.
    @Test(.enabled(if: isRoot, "needs root"))
    func aClosedFolder() throws {
        #expect(try run("user", rootMode: 0o700).first?.hasSuffix("owner 0") == true)
        #expect(try run("user", rootMode: 0o700).last == "stands")
        #expect(try run("capabilities", rootMode: 0o700).last == "stands")
    }

    /// With an explicit user, the server becomes that user or does not start.
    @Test(.enabled(if: isRoot, "needs root"))
    func aUserThatWasAskedFor() throws {
        #expect(
            try run("user", user: "no-such-user").first?.hasPrefix("refused: noSuchUser") == true)
        #expect(
            try run("serve", user: "nobody", rootMode: 0o700).first?.hasPrefix("refused: unusable")
                == true)
        #expect(
            try run("upload", user: "nobody").first?.hasPrefix("refused: unusable") == true)
        // Where files below the folder may be writable, it serves.
        #expect(try run("closed", user: "nobody").last == "stands")
        #expect(
            try run("closed", user: "nobody", rootMode: 0o700).first?.hasPrefix("refused: unusable")
                == true)
    }
}
