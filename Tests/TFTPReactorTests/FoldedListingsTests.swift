import Foundation
import Testing

@testable import TFTPReactor

/// Folders whose names are found in any case of letters.
struct FoldedListingsTests {
    /// A folder of its own, with a descriptor.
    private final class Folder {
        let path = FileManager.default.temporaryDirectory.appending(path: "folded-\(UUID())").path
        let descriptor: Int32

        init(_ names: [String]) throws {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false)
            descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            for name in names { make(name) }
        }

        deinit {
            close(descriptor)
            try? FileManager.default.removeItem(atPath: path)
        }

        func make(_ name: String) {
            waitForTick()
            _ = FileManager.default.createFile(atPath: "\(path)/\(name)", contents: nil)
        }

        func move(_ name: String, to other: String) {
            waitForTick()
            #expect(rename("\(path)/\(name)", "\(path)/\(other)") == 0)
        }

        /// Until another file's change would get a later time than the folder's latest.
        private func waitForTick() {
            let before = status.st_ctim
            let probe = path + ".probe"
            defer { unlink(probe) }
            var time = before
            while (time.tv_sec, time.tv_nsec) <= (before.tv_sec, before.tv_nsec) {
                unlink(probe)
                _ = FileManager.default.createFile(atPath: probe, contents: nil)
                var status = stat()
                stat(probe, &status)
                time = status.st_ctim
            }
        }

        private var status: stat {
            var status = stat()
            fstat(descriptor, &status)
            return status
        }

        var modified: timespec {
            get { status.st_mtim }
            set {
                let times = [newValue, newValue]
                #expect(futimens(descriptor, times) == 0)
            }
        }
    }

    /// Three seconds from now, when nothing of now is recent.
    private var later: Int64 {
        Int64(Date().timeIntervalSince1970 * 1e9) + 3_000_000_000
    }

    private func find(
        _ listings: FoldedListings, _ name: String, _ folder: Folder, now: Int64
    ) -> String? {
        listings.entry(Array(name.utf8), in: folder.descriptor, now: now)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func aFolderIsReadOnceForManyNames() throws {
        let folder = try Folder(["Boot", "BCD", "grüße"])
        let listings = FoldedListings()
        for _ in 0..<3 {
            #expect(find(listings, "boot", folder, now: later) == "Boot")
            #expect(find(listings, "bcd", folder, now: later) == "BCD")
            #expect(find(listings, "GRüßE", folder, now: later) == "grüße")
            #expect(find(listings, "missing", folder, now: later) == nil)
            #expect(find(listings, "..", folder, now: later) == nil)
        }
        #expect(listings.readCount == 1)
    }

    /// Whatever the order in which the folder lists them.
    @Test func ofNamesThatDifferInCaseTheFirstIsTaken() throws {
        for names in [["abc", "aBC", "Abc"], ["Abc", "abc", "aBC"], ["aBC", "Abc", "abc"]] {
            let folder = try Folder(names)
            #expect(find(FoldedListings(), "ABC", folder, now: later) == "Abc")
        }
    }

    @Test func aRenameIsNoticed() throws {
        let folder = try Folder(["Boot"])
        let listings = FoldedListings()
        #expect(find(listings, "boot", folder, now: later) == "Boot")
        folder.move("Boot", to: "BOOT")
        #expect(find(listings, "boot", folder, now: later) == "BOOT")
        folder.make("Another")
        #expect(find(listings, "another", folder, now: later) == "Another")
    }

    /// Two changes within one tick of the clock of files show only one of them.
    @Test func aFolderThatHasJustChangedIsSearched() throws {
        let folder = try Folder(["Boot"])
        let listings = FoldedListings()
        let now = later - 3_000_000_000
        #expect(find(listings, "boot", folder, now: now) == "Boot")
        #expect(find(listings, "boot", folder, now: now) == "Boot")
        #expect(listings.readCount == 0)
    }

    /// Times that a program has put back do not hide a change.
    @Test func theTimeOfAChangeCountsToo() throws {
        let folder = try Folder(["Boot"])
        let listings = FoldedListings()
        #expect(find(listings, "boot", folder, now: later) == "Boot")
        let before = folder.modified
        folder.move("Boot", to: "bOOT")
        folder.modified = before
        #expect(find(listings, "boot", folder, now: later) == "bOOT")
    }

    /// A machine without a clock that runs while it is off takes all times for future ones.
    @Test(arguments: [-86_400, 86_400])
    func aClockThatIsSetSearchesNoFolderForEachName(seconds: Int64) throws {
        let folder = try Folder(["Boot"])
        let listings = FoldedListings()
        let now = later + seconds * 1_000_000_000
        for _ in 0..<3 { #expect(find(listings, "boot", folder, now: now) == "Boot") }
        #expect(listings.readCount == 1)
        folder.move("Boot", to: "BOOT")
        #expect(find(listings, "boot", folder, now: now) == "BOOT")
        // And back.
        #expect(find(listings, "boot", folder, now: later) == "BOOT")
    }

    @Test func memoryHasABound() throws {
        let small = try (0..<3).map { try Folder(["a\($0)", "b\($0)"]) }
        let large = try Folder(["A", "b", "c", "d", "e"])
        let listings = FoldedListings(nameCountMax: 4)
        for round in 0..<3 {
            for (index, folder) in small.enumerated() {
                #expect(find(listings, "A\(index)", folder, now: later) == "a\(index)", "\(round)")
            }
        }
        // The third has no room, and is searched: it neither drives out the others nor is read
        // again for each name.
        #expect(listings.readCount == 3)
        for _ in 0..<2 {
            #expect(find(listings, "a", large, now: later) == "A")
            #expect(find(listings, "E", large, now: later) == "e")
        }
        #expect(listings.readCount == 4)
        // What was not used lately makes room.
        let much = later + 60_000_000_000
        #expect(find(listings, "A2", small[2], now: much) == "a2")
        #expect(find(listings, "B2", small[2], now: much) == "b2")
        #expect(listings.readCount == 5)
    }
}
