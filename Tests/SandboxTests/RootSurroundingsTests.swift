import Foundation
import Testing

@testable import Sandbox

/// Which folders are taken in so that another root at the path is followed.
struct RootSurroundingsTests {
    /// A folder with subfolders and links, and what is taken in for `root` in it.
    private func surroundings(
        of root: String, folders: [String], links: [(String, String)] = []
    ) throws -> [String] {
        let manager = FileManager.default
        let scratch = manager.temporaryDirectory.resolvingSymlinksInPath().appending(
            path: "surroundings-\(UUID())")
        defer { try? manager.removeItem(at: scratch) }
        for folder in folders {
            try manager.createDirectory(
                at: scratch.appending(path: folder), withIntermediateDirectories: true)
        }
        for (name, target) in links {
            try manager.createSymbolicLink(
                atPath: scratch.appending(path: name).path,
                withDestinationPath: target.replacing("SCRATCH", with: scratch.path))
        }
        return RootSurroundings.paths(of: scratch.appending(path: root).path).map {
            $0.replacing(scratch.path, with: "SCRATCH")
        }
    }

    /// The parent and two folders above it, of which the outermost holds the others.
    @Test func aFolderAndThoseAboveIt() throws {
        #expect(try surroundings(of: "x/a/b/tftp", folders: ["x/a/b/tftp"]) == ["SCRATCH/x"])
    }

    /// `cur` is switched from v1 to v2.
    @Test func aLinkAboveTheRoot() throws {
        let paths = try surroundings(
            of: "x/cur/tftp", folders: ["x/v1/tftp"], links: [("x/cur", "v1")])
        #expect(paths == ["SCRATCH"])
    }

    @Test func aLinkFarAbove() throws {
        let paths = try surroundings(
            of: "x/cur/a/b/c/d/tftp", folders: ["x/v1/a/b/c/d/tftp"], links: [("x/cur", "v1")])
        #expect(paths == ["SCRATCH/x"])
    }

    @Test func aRootThatIsALinkToElsewhere() throws {
        let paths = try surroundings(
            of: "srv/a/b/c/tftp", folders: ["srv/a/b/c", "data/1/2/3/r1"],
            links: [("srv/a/b/c/tftp", "SCRATCH/data/1/2/3/r1")])
        #expect(paths == ["SCRATCH/srv/a/b/c", "SCRATCH/data/1"])
    }

    @Test func linksThatLeadToEachOther() throws {
        #expect(try surroundings(of: "one", folders: [""], links: [("one", "one")]) == [])
    }

    /// A system's folders, and homes, are not taken in for what is further below.
    @Test func whatIsLeftOut() {
        #expect(RootSurroundings.paths(of: "/srv/tftp") == ["/srv"])
        #expect(RootSurroundings.paths(of: "/srv/a/tftp") == ["/srv/a"])
        #expect(RootSurroundings.paths(of: "/var/lib/tftpboot") == [])
        #expect(RootSurroundings.paths(of: "/home/user/a/tftp") == ["/home/user/a"])
        #expect(RootSurroundings.paths(of: "/") == [])
    }
}
