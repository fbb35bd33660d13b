import Testing

@testable import TFTPFetch

@Suite struct OfferTests {
    static let node = NodeID(rawValue: 0x9F3A_06C2_D417_BE55)

    static let waiting: Offer = {
        var offer = Offer(node: node, state: .absent)
        offer.byteCount = 70_000
        offer.pursuit = .waiting
        return offer
    }()

    @Test func asItIsWritten() {
        let offer = Offer(
            node: Self.node, state: .holds,
            version: .file(size: 268_435_456, modifiedSeconds: 1_764_050_000))
        #expect(
            offer.text == """
                bootstorm 1
                node 9f3a06c2d417be55
                state holds
                size 268435456
                version file-1764050000

                """)
    }

    @Test(arguments: [
        Offer(node: node, state: .holds, version: .file(size: 0, modifiedSeconds: -1)),
        Offer(node: node, state: .arriving, version: .plain(size: nil)),
        Offer(node: NodeID(rawValue: 1), state: .absent), waiting,
    ])
    func readAsItWasWritten(_ offer: Offer) {
        #expect(Offer(offer.text) == offer)
        #expect(Offer(offer.text + "colour blue\n") == offer)
    }

    @Test(arguments: [
        "", "hello", "bootstorm 1\n", "bootstorm 2\nnode 9f3a06c2d417be55\nstate absent\n",
        "bootstorm 1\nnode 9f3a\nstate absent\n",
        "bootstorm 1\nnode 9f3a06c2d417be55\nstate sleeping\n",
        "bootstorm 1\nnode 9f3a06c2d417be55\nstate holds\nsize 3\n",
        "bootstorm 1\nnode 9f3a06c2d417be55\nstate holds\nsize -3\nversion x\n",
        "bootstorm 1\nnode 9f3a06c2d417be55\nstate holds\nsize 99999999999999999999\nversion x\n",
        "bootstorm 1\nnode 9f3a06c2d417be55\nstate\n",
    ])
    func whatNoNodeSays(_ text: String) { #expect(Offer(text) == nil) }
}
