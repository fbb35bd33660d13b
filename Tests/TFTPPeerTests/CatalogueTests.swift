import Foundation
import Logging
import TFTPReactor
import Testing

@testable import TFTPPeer

/// A folder and what is known of it.
@Suite(.timeLimit(.minutes(1))) struct CatalogueTests {
    private func withFolder(
        entriesMax: Int = Catalogue.entriesMax, _ body: (URL, Catalogue) async throws -> Void
    ) async throws {
        let url = try makeFolder()
        defer { try? FileManager.default.removeItem(at: url) }
        let logger = Logger(label: "catalogue") { _ in SwiftLogNoOpLogHandler() }
        let catalogue = Catalogue(
            try Folder(url.path), key: nil, entriesMax: entriesMax, logger: logger)
        try await body(url, catalogue)
    }

    private func write(_ bytes: [UInt8], _ url: URL) throws { try Data(bytes).write(to: url) }

    @Test func whatAFileIsMadeOf() async throws {
        try await withFolder { url, catalogue in
            let bytes = content(2_500_000)
            try write(bytes, url.appending(path: "image"))
            let entry = try #require(await catalogue.entry(of: "image"))
            #expect(entry.manifest.digests.count == 3)
            var check = ChunkCheck(entry.manifest, after: 0)
            check.add(bytes)
            var passed: [UInt8] = []
            while let chunk = try check.next() { passed += chunk }
            #expect(passed == bytes)
            try write(content(100), url.appending(path: "image"))
            #expect(await catalogue.entry(of: "image")?.manifest.size == 100)
            try FileManager.default.removeItem(at: url.appending(path: "image"))
            #expect(await catalogue.entry(of: "image") == nil)
        }
    }

    @Test(arguments: ["", "nothing", "../x", "folder", "out", "fifo"])
    func noFile(_ name: String) async throws {
        try await withFolder { url, catalogue in
            let folder = url.appending(path: "folder")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(
                atPath: url.appending(path: "out").path, withDestinationPath: "/etc/passwd")
            #expect(mkfifo(url.appending(path: "fifo").path, 0o600) == 0)
            guard case .absent = await catalogue.status(of: name) else {
                Issue.record("\(name) is taken for a file")
                return
            }
            #expect(await catalogue.entry(of: name) == nil)
        }
    }

    /// A program that writes to a file may set its time back: `cp -p`, `rsync --inplace -t`.
    @Test func aNewVersionOfTheSameTime() async throws {
        try await withFolder { url, catalogue in
            let image = url.appending(path: "image")
            let time = Date(timeIntervalSince1970: 1_700_000_000)
            func put(_ bytes: [UInt8]) throws {
                // In place, so that it stays the same file.
                let file = try FileHandle(forWritingTo: image)
                try file.write(contentsOf: Data(bytes))
                try file.close()
                try FileManager.default.setAttributes(
                    [.modificationDate: time], ofItemAtPath: image.path)
            }
            #expect(FileManager.default.createFile(atPath: image.path, contents: nil))
            try put(content(10_000))
            let old = try #require(await catalogue.entry(of: "image"))
            try put(content(10_000, seed: 2))
            let new = try #require(await catalogue.entry(of: "image"))
            #expect(new.manifest.root != old.manifest.root)
            #expect(new.manifest.isRight(content(10_000, seed: 2), at: 0))
            #expect(catalogue.known[old.identity] == nil)
        }
    }

    /// Files are read without anybody asking: those that are there, and those that come, wherever
    /// they come.
    @Test func filesAreReadAhead() async throws {
        try await withFolder { url, catalogue in
            let logger = Logger(label: "catalogue") { _ in SwiftLogNoOpLogHandler() }
            let deep = url.appending(path: "a/b")
            try FileManager.default.createDirectory(at: deep, withIntermediateDirectories: true)
            try write(content(10), url.appending(path: "one"))
            try write(content(20), deep.appending(path: "two"))
            let watching = Task {
                await catalogue.keepUp(
                    with:
                        FolderWatch(url.path, hasSnapshots: false, logger: logger))
            }
            defer { watching.cancel() }
            func known() async -> [String: UInt64] {
                let all = await catalogue.all.map(\.manifest)
                return Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0.size) })
            }
            #expect(try await wait { await known() == ["one": 10, "a/b/two": 20] })
            try write(content(30), url.appending(path: "one"))
            try FileManager.default.moveItem(
                at: deep.appending(path: "two"), to: url.appending(path: "three"))
            let new = url.appending(path: "new/er")
            try FileManager.default.createDirectory(at: new, withIntermediateDirectories: true)
            try write(content(40), new.appending(path: "four"))
            #expect(
                try await wait { await known() == ["one": 30, "three": 20, "new/er/four": 40] })
            let elsewhere = try makeFolder()
            defer { try? FileManager.default.removeItem(at: elsewhere) }
            try FileManager.default.moveItem(
                at: url.appending(path: "new"), to: elsewhere.appending(path: "new"))
            #expect(try await wait { await known() == ["one": 30, "three": 20] })
        }
    }

    /// More changes than are kept become one look at everything, and none is kept in addition.
    @Test func moreChangesThanAreKept() async throws {
        try await withFolder { url, _ in
            let logger = Logger(label: "watch") { _ in SwiftLogNoOpLogHandler() }
            let watch = FolderWatch(url.path, hasSnapshots: false, backlogMax: 2, logger: logger)
            #expect(watch.take() == [.everything])
            for name in ["a", "b"] { watch.say(.file(name)) }
            #expect(watch.take() == [.file("a"), .file("b")])
            for name in ["a", "b", "c", "d"] { watch.say(.file(name)) }
            #expect(watch.take() == [.everything])
            #expect(watch.take().isEmpty)
        }
    }

    /// Its entries stay true when it is full, and there is room again when a file is removed.
    @Test func aFullCatalogue() async throws {
        try await withFolder(entriesMax: 2) { url, catalogue in
            let logger = Logger(label: "catalogue") { _ in SwiftLogNoOpLogHandler() }
            for name in ["a", "b", "c"] { try write(content(10), url.appending(path: name)) }
            let watching = Task {
                await catalogue.keepUp(
                    with: FolderWatch(url.path, hasSnapshots: false, logger: logger))
            }
            defer { watching.cancel() }
            func known() async -> [String] {
                await catalogue.all.map { "\($0.manifest.name) \($0.manifest.size)" }
            }
            #expect(try await wait { await known() == ["a 10", "b 10"] })
            try write(content(20), url.appending(path: "b"))
            #expect(try await wait { await known() == ["a 10", "b 20"] })
            try FileManager.default.removeItem(at: url.appending(path: "a"))
            try write(content(30), url.appending(path: "c"))
            #expect(try await wait { await known() == ["b 20", "c 30"] })
        }
    }

    /// The listing is made once for each change, and a name of two lines puts none of its own into
    /// it.
    @Test func theListing() async throws {
        try await withFolder { url, catalogue in
            try write(content(10), url.appending(path: "image"))
            try write(content(10), url.appending(path: "x\nfile 1 1 0 evil"))
            #expect(await catalogue.entry(of: "x\nfile 1 1 0 evil") == nil)
            #expect(await catalogue.entry(of: "image") != nil)
            let first = try await catalogue.listing(beneath: "")
            #expect(Listing(first.text)?.files.map(\.name) == ["image"])
            guard case .absent = await catalogue.status(of: "nothing") else {
                Issue.record("the file does not exist")
                return
            }
            #expect(try await catalogue.listing(beneath: "").revision == first.revision)
            try write(content(20), url.appending(path: "image"))
            _ = await catalogue.entry(of: "image")
            let second = try await catalogue.listing(beneath: "")
            #expect(second.revision != first.revision)
            #expect(Listing(second.text)?.files.map(\.size) == [20])
        }
    }
}
