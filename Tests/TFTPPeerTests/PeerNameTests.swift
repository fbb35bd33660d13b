import Testing

@testable import TFTPPeer

@Suite struct PeerNameTests {
    @Test func namesForNodes() {
        for name in [PeerName.query("a/b"), .search("x"), .force("x"), .fetch("boot/linux.img")] {
            #expect(PeerName(name.text) == name)
        }
        // What nodes said before is understood.
        #expect(PeerName(".bootstorm/seek/x") == .search("x"))
        for name in ["a", ".bootstorm/query", ".bootstorm/other/x", ".bootstorm/query/"] {
            #expect(PeerName(name) == nil)
        }
        #expect(PeerName.isFile("boot/linux.img") && PeerName.isFile("a..b/..c"))
        for name in ["", "../x", "a/../b", ".bootstorm/query/x", ".."] {
            #expect(!PeerName.isFile(name))
        }
    }
}
