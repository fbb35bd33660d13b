import Foundation
import Testing

@testable import TFTPServer

/// Publishing, going back and removing, without a server.
struct SnapshotsTests {
    /// A folder to publish and a tree to publish it in. Gone at the end.
    private final class World: Sendable {
        let scratch: Scratch
        let snapshots: TFTPServer.Snapshots
        var image: String { scratch.folder + "/image" }

        init() throws {
            scratch = try Scratch()
            snapshots = TFTPServer.Snapshots(root: scratch.root)
            try FileManager.default.createDirectory(
                atPath: image + "/boot", withIntermediateDirectories: true)
            try write("boot/vmlinuz", "kernel")
        }

        func write(_ name: String, _ text: String) throws {
            try Data(text.utf8).write(to: URL(filePath: "\(image)/\(name)"))
        }

        func read(_ name: String) -> String? {
            scratch.read(name).map { String(decoding: $0, as: UTF8.self) }
        }

        var names: [String] { get throws { try snapshots.list().map(\.name) } }
        var current: String? { get throws { try snapshots.list().first(where: \.isCurrent)?.name } }

        /// What `body` throws, with everything in the tree as it was.
        func failure(_ body: () throws -> Void) -> String {
            let before = scratch.list()
            let target = try? FileManager.default.destinationOfSymbolicLink(
                atPath: scratch.path("current"))
            do {
                try body()
                return "nothing was thrown"
            } catch {
                #expect(error is SnapshotError)
                #expect(scratch.list() == before)
                let after = try? FileManager.default.destinationOfSymbolicLink(
                    atPath: scratch.path("current"))
                #expect(after == target)
                return "\(error)"
            }
        }
    }

    /// A name is never one of other content, however quick they are published and removed.
    @Test func noNameIsGivenTwice() throws {
        let world = try World()
        var names: Set<String> = []
        for number in 0..<20 {
            try world.write("boot/vmlinuz", "kernel \(number)")
            #expect(names.insert(try world.snapshots.publish(world.image)).inserted)
            _ = try world.snapshots.prune(keeping: 1)
        }
    }

    @Test func publishesAndGoesBack() throws {
        let world = try World()
        #expect(try world.snapshots.publish(world.image, as: "a") == "a")
        #expect(world.read("current/boot/vmlinuz") == "kernel")
        try world.write("boot/vmlinuz", "kernel of b")
        #expect(try world.snapshots.publish(world.image, as: "b") == "b")
        #expect(world.read("current/boot/vmlinuz") == "kernel of b")
        #expect(world.read("sets/a/boot/vmlinuz") == "kernel")
        // Not by name, but by when they were published.
        try world.snapshots.publish(world.image, as: "0")
        #expect(try world.names == ["0", "b", "a"])
        #expect(try world.snapshots.rollBack() == "b")
        #expect(try world.snapshots.rollBack() == "a")
        #expect(world.read("current/boot/vmlinuz") == "kernel")
        #expect(try world.snapshots.rollBack(to: "0") == "0")
        #expect(try world.current == "0")
        #expect(try world.snapshots.rollBack(to: "0") == "0")
        #expect(world.scratch.list().filter { $0.hasPrefix(".") } == [])
    }

    @Test func aNameOfItsOwn() throws {
        let world = try World()
        let names = try (0..<5).map { _ in try world.snapshots.publish(world.image) }
        #expect(Set(names).count == 5)
        #expect(try world.names == names.reversed())
        #expect(names[0].wholeMatch(of: /\d{8}T\d{6}Z/) != nil)
    }

    @Test func copiesWhatThereIs() throws {
        let world = try World()
        let big = Content.bytes(3_000_000)
        try Data(big).write(to: URL(filePath: world.image + "/big"))
        try world.write("empty", "")
        try world.write(".hidden", "h")
        try world.write(".bootstorm-upload-1", "unfinished")
        #expect(chmod(world.image + "/big", 0o600) == 0)
        #expect(symlink("boot/vmlinuz", world.image + "/link") == 0)
        #expect(symlink("nowhere", world.image + "/boot/dangling") == 0)
        let time = Date(timeIntervalSince1970: 1_700_000_000)
        try FileManager.default.setAttributes(
            [.modificationDate: time], ofItemAtPath: world.image + "/big")
        try world.snapshots.publish(world.image, as: "a")
        #expect(world.scratch.read("sets/a/big") == big)
        #expect(world.read("sets/a/empty") == "")
        #expect(world.read("sets/a/.hidden") == "h")
        #expect(world.read("sets/a/.bootstorm-upload-1") == nil)
        #expect(world.read("sets/a/link") == "kernel")
        let target = try FileManager.default.destinationOfSymbolicLink(
            atPath: world.scratch.path("sets/a/boot/dangling"))
        #expect(target == "nowhere")
        // The permissions of the copy do not depend on those of the original.
        let attributes = try FileManager.default.attributesOfItem(
            atPath: world.scratch.path("sets/a/big"))
        var status = stat()
        #expect(stat(world.scratch.path("sets/a/big"), &status) == 0)
        #expect(status.st_mode & 0o777 == 0o644)
        #expect(attributes[.modificationDate] as? Date == time)
        // A copy of its own: what is written to the original later is not published.
        try Data([1]).write(to: URL(filePath: world.image + "/big"))
        #expect(world.scratch.read("sets/a/big") == big)
    }

    @Test func refusesFoldersThatCanNotBeServed() throws {
        let world = try World()
        let wrong: [(String, (String) -> Bool)] = [
            ("is not a file", { mkfifo($0 + "/boot/fifo", 0o600) == 0 }),
            ("leads out", { symlink("/etc/passwd", $0 + "/link") == 0 }),
            ("leads out", { symlink("../../image/boot/vmlinuz", $0 + "/boot/link") == 0 }),
            ("at the top of a snapshot", { mkdir($0 + "/sets", 0o700) == 0 }),
            ("at the top of a snapshot", { mkdir($0 + "/.bootstorm", 0o700) == 0 }),
            ("UTF-8", { creat([UInt8](($0 + "/").utf8) + [0xFF], 0o600) }),
            (
                "longer name",
                { path in
                    let name = String(repeating: "n", count: 250)
                    let deep = "\(path)/\(name)/\(name)/\(name)/\(name)/\(name)"
                    return
                        (try? FileManager.default.createDirectory(
                            atPath: deep, withIntermediateDirectories: true)) != nil
                }
            ),
        ]
        for (text, prepare) in wrong {
            let folder = world.scratch.folder + "/wrong"
            try FileManager.default.copyItem(atPath: world.image, toPath: folder)
            #expect(prepare(folder))
            let failure = world.failure { try world.snapshots.publish(folder) }
            #expect(failure.contains(text), "\(failure)")
            try FileManager.default.removeItem(atPath: folder)
        }
    }

    private func creat(_ path: [UInt8], _ mode: mode_t) -> Bool {
        let file = Glibc.creat(path.map { CChar(bitPattern: $0) } + [0], mode)
        return file >= 0 && close(file) == 0
    }

    @Test func saysWhatIsWrong() throws {
        let world = try World()
        let (snapshots, image) = (world.snapshots, world.image)
        // Nothing is there yet.
        #expect(world.failure { try snapshots.rollBack() }.contains("not a tree of snapshots"))
        #expect(world.failure { _ = try snapshots.list() }.contains("not a tree of snapshots"))
        #expect(world.failure { try snapshots.publish(image + "/no") }.contains("No such file"))
        let empty = world.scratch.folder + "/empty"
        try FileManager.default.createDirectory(
            atPath: empty + "/in", withIntermediateDirectories: true)
        #expect(world.failure { try snapshots.publish(empty) }.contains("has no files"))
        #expect(
            world.failure { try snapshots.publish(world.scratch.folder) }.contains("is the tree"))
        let elsewhere = TFTPServer.Snapshots(root: image)
        #expect(
            world.failure { try elsewhere.publish(empty + "/../outside") }
                .contains("not a tree of snapshots"))
        let nowhere = TFTPServer.Snapshots(root: image + "/no")
        #expect(world.failure { try nowhere.publish(image) }.contains("No such file"))
        for name in ["", ".a", "a/b", "..", "-a", "a b"] {
            let failure = world.failure { try snapshots.publish(image, as: name) }
            #expect(failure.contains("not a valid snapshot name"), "\(name)")
            #expect(
                world.failure { try snapshots.rollBack(to: name) }.contains(
                    "not a valid snapshot name"))
        }
        try snapshots.publish(image, as: "a")
        #expect(world.failure { try snapshots.publish(image, as: "a") }.contains("already"))
        #expect(world.failure { try snapshots.rollBack() }.contains("none before it"))
        #expect(world.failure { try snapshots.rollBack(to: "b") }.contains("There are: a."))
        try FileManager.default.removeItem(atPath: world.scratch.path("current"))
        #expect(world.failure { try snapshots.rollBack() }.contains("no snapshot is current"))
        #expect(try snapshots.rollBack(to: "a") == "a")
        // A folder stands where the link should.
        try FileManager.default.removeItem(atPath: world.scratch.path("current"))
        try world.scratch.makeFolder("current")
        #expect(
            world.failure { try snapshots.rollBack(to: "a") }.contains("cannot make 'a' current"))
        #expect(
            world.failure { try snapshots.publish(image, as: "b") }
                .contains("cannot make 'b' current"))
    }

    @Test func removesOldOnes() throws {
        let world = try World()
        for name in ["a", "b", "c", "d", "e"] {
            try world.snapshots.publish(world.image, as: name)
        }
        try world.snapshots.rollBack(to: "b")
        let pruned = try world.snapshots.prune(keeping: 2)
        #expect(pruned.removed == ["c", "a"])
        #expect(pruned.held == [])
        #expect(try world.names == ["e", "d", "b"])
        #expect(world.read("current/boot/vmlinuz") == "kernel")
        // Before the current one there is none now, and nothing of the others is left.
        #expect(world.failure { try world.snapshots.rollBack() }.contains("none before it"))
        #expect(world.scratch.list().filter { $0.hasPrefix("sets/.") } == [])
    }

    /// The order of snapshots is that in which they were published, whatever the clock said.
    @Test(arguments: [-86_400, 86_400])
    func aClockThatIsSet(seconds: Double) throws {
        let world = try World()
        try world.snapshots.publish(world.image, as: "z")
        let then = Date(timeIntervalSinceNow: seconds)
        try FileManager.default.setAttributes(
            [.modificationDate: then], ofItemAtPath: world.scratch.path("sets/z"))
        for name in ["b", "a"] { try world.snapshots.publish(world.image, as: name) }
        #expect(try world.names == ["a", "b", "z"])
        #expect(try world.snapshots.rollBack() == "b")
        try world.snapshots.rollBack(to: "a")
        #expect(try world.snapshots.prune(keeping: 2).removed == ["z"])
    }

    @Test func cleansUpWhatWasLeftBehind() throws {
        let world = try World()
        try world.snapshots.publish(world.image, as: "a")
        try world.scratch.makeFolder("sets/.publishing-1/boot")
        try world.scratch.write("sets/.publishing-1/boot/part", [1])
        try world.scratch.makeFolder("sets/.removing-2")
        try world.scratch.makeFolder("sets/.publishing-3")
        // One is still at it.
        let busy = open(world.scratch.path("sets/.publishing-3"), O_RDONLY | O_DIRECTORY)
        defer { close(busy) }
        #expect(flock(busy, LOCK_EX) == 0)
        try world.snapshots.publish(world.image, as: "b")
        #expect(world.scratch.list().filter { $0.hasPrefix("sets/.") } == ["sets/.publishing-3"])
    }

    /// All at once, and each whole.
    @Test func manyPublishAtOnce() async throws {
        let world = try World()
        let names = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<8 {
                group.addTask {
                    number % 4 == 3
                        ? try world.snapshots.publish(world.image)
                        : try world.snapshots.publish(world.image, as: "n\(number)")
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(names.count == 8)
        #expect(Set(try world.names) == names)
        for name in names { #expect(world.read("sets/\(name)/boot/vmlinuz") == "kernel") }
        #expect(try world.snapshots.list().count(where: \.isCurrent) == 1)
        #expect(world.scratch.list().filter { $0.hasPrefix("sets/.") } == [])
    }
}
