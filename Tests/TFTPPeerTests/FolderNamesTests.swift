import Foundation
import Glibc
import Logging
import TFTPReactor
import Testing

@testable import TFTPFetch
@testable import TFTPPeer

/// Which names a node says that it has: it denies none that may be there.
@Suite(.timeLimit(.minutes(1))) struct FolderNamesTests {
    private static func has(_ name: String, _ names: FolderNames) -> Bool {
        names.names?.hashes?.contains(NameFilter.hash(of: name)) ?? true
    }

    @Test func whatComesDuringAWalk() {
        let names = FolderNames()
        names.beginWalk()
        names.insert(["new", "short"])
        names.remove("gone")
        names.remove("short")
        names.endWalk(["old", "gone"], isComplete: true)
        #expect(names.names?.count == 2)
        #expect(Self.has("old", names) && Self.has("new", names))
        #expect(!Self.has("gone", names) && !Self.has("short", names))
    }

    @Test func aFolderThatComesDuringAWalk() {
        let names = FolderNames()
        names.note(newFolder: "before")
        names.beginWalk()
        names.note(newFolder: "a")
        names.endWalk(["x"], isComplete: true)
        #expect(names.names == nil)
        let appearances = names.appearances(of: "a")
        // It goes and comes again while it is walked.
        names.note(newFolder: "a")
        names.endWalk(of: "a", appearances: appearances, ["a/y"], isComplete: true)
        #expect(names.names == nil)
        names.endWalk(of: "a", appearances: names.appearances(of: "a"), ["a/z"], isComplete: true)
        #expect(names.names?.count == 3)
    }

    @Test func whatIsLostDuringAWalk() {
        let names = FolderNames()
        names.beginWalk()
        names.lose()
        names.endWalk(["x"], isComplete: true)
        #expect(names.names == nil)
        names.beginWalk()
        names.endWalk(["x"], isComplete: true)
        #expect(names.names?.count == 1)
        names.endWalk(of: "a", appearances: 0, ["a/y"], isComplete: false)
        #expect(names.names == nil)
    }

    /// A folder that appears makes the names incomplete only until it has been walked.
    @Test func aNewFolderIsWalked() async throws {
        let url = try makeFolder()
        defer { try? FileManager.default.removeItem(at: url) }
        let logger = Logger(label: "names") { _ in SwiftLogNoOpLogHandler() }
        let catalogue = Catalogue(try Folder(url.path), key: nil, logger: logger)
        let watch = FolderWatch(
            url.path, hasSnapshots: false, names: catalogue.names, logger: logger)
        let watching = Task { await catalogue.keepUp(with: watch) }
        defer { watching.cancel() }
        #expect(try await wait { catalogue.names.names?.count == 0 })
        let folder = url.appending(path: "a/b")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data([1]).write(to: folder.appending(path: "file"))
        #expect(try await wait { catalogue.names.names?.count == 1 })
        #expect(Self.has("a/b/file", catalogue.names))
    }

    /// Of a folder that may not be read no name is denied.
    @Test(.enabled(if: geteuid() != 0, "root may read everything"))
    func aFolderThatMayNotBeRead() async throws {
        let url = try makeFolder()
        defer { try? FileManager.default.removeItem(at: url) }
        let folder = url.appending(path: "closed")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0])
        let names = FolderNames()
        let watch = FolderWatch(
            url.path, hasSnapshots: false, names: names,
            logger: Logger(label: "names") { _ in SwiftLogNoOpLogHandler() })
        _ = await watch.files(beneath: nil)
        #expect(names.names == nil)
    }
}
