import Testing

@testable import TFTPReactor

struct ShardSetTests {
    /// Each shard is woken once, however many datagrams it was handed.
    @Test func eachOnce() {
        var set = ShardSet()
        for shard in [0, 63, 64, 200, 255, 64, 0] { set.insert(shard) }
        var woken: [Int] = []
        set.removeAll { woken.append($0) }
        #expect(woken == [0, 63, 64, 200, 255])
        set.removeAll { woken.append($0) }
        #expect(woken.count == 5)
    }
}
