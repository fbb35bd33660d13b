import Glibc
import Testing

@testable import Uring

/// Whether this kernel lets us have a ring, else why not.
let ringRefusal: String? = {
    do {
        _ = try Ring(entries: 8, completions: 16)
        return nil
    } catch {
        return "io_uring is refused here: \(error)"
    }
}()

@Suite(.enabled(if: ringRefusal == nil, Comment(rawValue: ringRefusal ?? "")))
struct RingTests {
    /// Enters until `count` completions have come, or two seconds have passed.
    static func collect(_ ring: inout Ring, _ count: Int) throws -> [Completion] {
        var all: [Completion] = []
        let end = ContinuousClock.now + .seconds(2)
        while all.count < count && ContinuousClock.now < end {
            _ = try ring.enter(waitingFor: 1, nanoseconds: 50_000_000)
            let drained = ring.drain()
            for index in 0..<drained { all.append(ring.completion(index)) }
        }
        return all
    }

    /// A ring for datagrams opens no file, whatever gets hold of it; one for files does.
    @Test(arguments: [false, true])
    func aRingIsHeldToItsUses(opens: Bool) throws {
        let uses: Ring.Uses = opens ? .files : .network
        var ring = try Ring(entries: 8, completions: 16, uses: uses)
        let isRestricted = ring.isRestricted
        try #require(isRestricted, "this kernel cannot restrict rings")
        let storage = UnsafeMutableRawPointer.allocate(byteCount: 24, alignment: 8)
        defer { storage.deallocate() }
        let path = "/etc/passwd"
        let completions: [Completion] = try path.withCString { path in
            let isQueued = ring.queueOpen(
                directory: AT_FDCWD, path: path, flags: O_RDONLY | O_CLOEXEC, resolve: 0,
                storage: storage, userData: 7)
            #expect(isQueued)
            return try Self.collect(&ring, 1)
        }
        let result = try #require(completions.first).result
        #expect(opens ? result >= 0 : result == -EACCES)
        if result >= 0 { close(result) }
        let isQueued = ring.queueNoOperation(userData: 8)
        #expect(isQueued)
        let rest = try Self.collect(&ring, 1)
        #expect(rest.first?.result == 0)
    }

    @Test func noOperationGoesRound() throws {
        var ring = try Ring(entries: 8, completions: 16)
        for round in 0..<100 as Range<UInt64> {
            for number in 0..<8 as Range<UInt64> {
                let isQueued = ring.queueNoOperation(userData: round << 32 | number)
                #expect(isQueued)
            }
            let queuedCount = ring.queuedCount
            #expect(queuedCount == 8)
            let all = try Self.collect(&ring, 8)
            #expect(all.map(\.userData) == (0..<8).map { round << 32 | $0 })
            #expect(all.allSatisfy { $0.result == 0 && !$0.hasMore && $0.bufferID == nil })
            let leftCount = ring.queuedCount
            #expect(leftCount == 0)
        }
        let hasOverflowed = ring.hasOverflowed
        #expect(!hasOverflowed)
    }

    /// The submission queue says when it is full, and is empty after an enter.
    @Test func aFullQueue() throws {
        var ring = try Ring(entries: 4, completions: 64)
        for number in 0..<4 as Range<UInt64> {
            let isQueued = ring.queueNoOperation(userData: number)
            #expect(isQueued)
        }
        let isTooMuch = ring.queueNoOperation(userData: 4)
        #expect(!isTooMuch)
        let isTaken = try ring.enter(waitingFor: 0, nanoseconds: 0)
        #expect(isTaken)
        let isQueued = ring.queueNoOperation(userData: 4)
        #expect(isQueued)
        let all = try Self.collect(&ring, 5)
        #expect(all.map(\.userData) == [0, 1, 2, 3, 4])
    }

    /// More completions than one drain hands out come with the next.
    @Test func aDrainHasAnEnd() throws {
        var ring = try Ring(entries: 512, completions: 1024)
        for number in 0..<400 as Range<UInt64> {
            let isQueued = ring.queueNoOperation(userData: number)
            #expect(isQueued)
        }
        _ = try ring.enter(waitingFor: 400, nanoseconds: 1_000_000_000)
        let (first, second) = (ring.drain(), ring.drain())
        #expect(first == Ring.drainCountMax)
        #expect(second == 400 - Ring.drainCountMax)
        let completion = ring.completion(0)
        #expect(completion.userData == UInt64(Ring.drainCountMax))
        let third = ring.drain()
        #expect(third == 0)
    }

    @Test func anEnterWaitsNoLongerThanItMay() throws {
        var ring = try Ring(entries: 8, completions: 16)
        let before = ContinuousClock.now
        let isTaken = try ring.enter(waitingFor: 1, nanoseconds: 20_000_000)
        let took = before.duration(to: .now)
        #expect(isTaken)
        let count = ring.drain()
        #expect(count == 0)
        #expect(took >= .milliseconds(15) && took < .seconds(2))
        _ = try ring.enter(waitingFor: 1, nanoseconds: 0)
    }

    @Test func pollIsArmedForMoreThanOnce() throws {
        var ring = try Ring(entries: 8, completions: 16)
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let isQueued = ring.queuePoll(file: ends[0], userData: 9)
        #expect(isQueued)
        for _ in 0..<3 {
            var byte: UInt8 = 1
            #expect(write(ends[1], &byte, 1) == 1)
            let all = try Self.collect(&ring, 1)
            #expect(all.first?.userData == 9)
            #expect(all.first?.hasMore == true)
            #expect(read(ends[0], &byte, 1) == 1)
        }
        ring.cancelAll()
    }

    // MARK: Files

    @Test func filesAreOpenedWrittenAndRead() throws {
        var template = Array("/tmp/uring-test-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let folder = String(decoding: template.dropLast().map { UInt8($0) }, as: UTF8.self)
        defer {
            unlink(folder + "/file")
            rmdir(folder)
        }
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        let file = open(folder + "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { for each in [directory, file] { close(each) } }
        var ring = try Ring(entries: 8, completions: 16)
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 5000, alignment: 8)
        defer { bytes.deallocate() }
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &* 7) }
        _ = ring.queueWrite(
            file: file, from: UnsafeRawBufferPointer(bytes), offset: 100, userData: 1)
        let written = try Self.collect(&ring, 1).first
        #expect(written?.result == 5000)
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: 6000, alignment: 8)
        defer { copy.deallocate() }
        _ = ring.queueRead(file: file, into: copy, offset: 1100, userData: 2)
        let read = try Self.collect(&ring, 1).first
        #expect(read?.result == 4000)
        #expect(copy.prefix(4000).elementsEqual(bytes.dropFirst(1000)))

        let storage = UnsafeMutableRawPointer.allocate(byteCount: 24, alignment: 8)
        defer { storage.deallocate() }
        // RESOLVE_BENEATH: a name inside is opened, one that leads out is not (EXDEV).
        for (name, isInside) in [("file", true), ("../\(folder.dropFirst(5))/file", false)] {
            let result = try name.withCString { path in
                _ = ring.queueOpen(
                    directory: directory, path: path, flags: O_RDONLY | O_CLOEXEC, resolve: 0x08,
                    storage: storage, userData: 3)
                return try Self.collect(&ring, 1).first?.result ?? 0
            }
            #expect(isInside ? result > 0 : result == -EXDEV)
            if result > 0 { close(result) }
        }
    }
}
