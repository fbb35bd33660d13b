import Testing

@testable import TFTPFetch

@Suite struct SourcePlanTests {
    static let old = FileVersion.file(size: 10, modifiedSeconds: 1)
    static let new = FileVersion.file(size: 10, modifiedSeconds: 2)

    static func node(_ number: UInt64) -> NodeID { NodeID(rawValue: number) }

    static func offer(
        _ number: UInt64, _ state: Offer.State, _ version: FileVersion? = nil
    ) -> SourcePlan.Answer { .node(Offer(node: node(number), state: state, version: version)) }

    static func plan(_ answers: [(peer: Int, answer: SourcePlan.Answer)], me: UInt64 = 99)
        -> SourcePlan
    { SourcePlan(name: "linux.img", node: node(me), answers: answers) }

    @Test func whoHoldsItComesFirst() {
        let plan = Self.plan([
            (3, .plain(Self.old)), (0, Self.offer(1, .arriving, Self.old)),
            (1, Self.offer(2, .absent)), (2, Self.offer(3, .holds, Self.old)),
            (4, Self.offer(4, .holds, Self.old)),
        ])
        #expect(plan.sources == [.folder(2), .folder(4)])
        #expect(plan.isRooted)
        #expect(plan.version == Self.old)
        #expect(plan.seekers.isEmpty)
    }

    /// Bytes of two versions never make one file.
    @Test func oneVersionOnly() {
        let plan = Self.plan([
            (0, Self.offer(1, .holds, Self.new)), (1, Self.offer(2, .holds, Self.old)),
            (2, Self.offer(3, .arriving, Self.new)),
        ])
        #expect(plan.sources == [.folder(0)])
        #expect(plan.version == Self.new)
    }

    static func held(
        _ number: UInt64, _ seconds: Int, _ bytes: [UInt8]? = nil, size: UInt64 = 10
    ) -> SourcePlan.Answer {
        var offer = Offer(
            node: node(number), state: .holds, version: .file(size: size, modifiedSeconds: seconds),
            root: bytes.map { Digest(of: $0) })
        offer.modifiedSeconds = seconds
        return .node(offer)
    }

    /// Of two versions the newer one is taken, not the quicker one.
    @Test func theNewestOfTwo() {
        let plan = Self.plan([(0, Self.held(1, 1)), (1, Self.held(2, 5)), (2, Self.held(3, 5))])
        #expect(plan.sources == [.folder(1), .folder(2)])
        #expect(plan.dissenters == [0])
    }

    /// A disk that has changed does not outvote the others.
    @Test func whatMostHave() {
        let plan = Self.plan([
            (0, Self.held(1, 9, [2])), (1, Self.held(2, 1, [1])), (2, Self.held(3, 1)),
        ])
        #expect(plan.sources == [.folder(1), .folder(2)])
        #expect(plan.root == Digest(of: [1]))
        #expect(plan.dissenters == [0])
    }

    /// The same content is the same, whenever it was written.
    @Test func theSameContent() {
        let plan = Self.plan([(0, Self.held(1, 1, [1])), (1, Self.held(2, 2, [1]))])
        #expect(plan.sources == [.folder(0), .folder(1)])
        #expect(plan.dissenters.isEmpty)
    }

    /// The first holder defines the content: a peer with the same root and another size does not
    /// have the same.
    @Test func theRootWithAnotherSize() {
        let plan = Self.plan([
            (0, Self.held(1, 5, [1])), (1, Self.held(2, 4, [1], size: 3)),
            (2, Self.held(3, 3, [1])),
        ])
        #expect(plan.sources == [.folder(0), .folder(2)])
        #expect(plan.version == .file(size: 10, modifiedSeconds: 5))
        #expect(plan.dissenters == [1])
    }

    /// If the time is signed, a peer with another time has no part in the decision.
    @Test func theTimeIsSigned() {
        let plan = SourcePlan(
            name: "linux.img", node: Self.node(99),
            answers: [
                (0, Self.held(1, 3, [1])), (1, Self.held(2, 9_999_999_999, [1])),
                (2, Self.held(3, 3, [1])),
            ], isDated: true)
        #expect(plan.sources == [.folder(0), .folder(2)])
        #expect(plan.modifiedSeconds == 3)
    }

    /// A node that fetches is a source only if no folder is one, and never for a request from a
    /// node.
    @Test func aNodeThatFetchesIt() {
        let answers = [
            (peer: 0, answer: Self.offer(1, .arriving, Self.old)), (1, Self.offer(2, .absent)),
            (2, Self.offer(3, .arriving, Self.new)), (3, Self.offer(4, .arriving, Self.old)),
        ]
        let plan = Self.plan(answers)
        #expect(plan.sources == [.arriving(0), .arriving(3)])
        #expect(!plan.isRooted)
        let asked = SourcePlan(
            name: "linux.img", node: Self.node(99), answers: answers, mayWait: false)
        #expect(asked.sources.isEmpty && asked.seekers.count == 5)
    }

    /// A list for the whole group names this node as well; it does not fetch from itself.
    @Test func thisNodeIsNoSource() {
        let plan = Self.plan([(0, Self.offer(99, .holds, Self.old))])
        #expect(plan.sources.isEmpty)
        #expect(plan.seekers == [.thisNode])
    }

    /// Every node of a group sends the same one to the origin, each file another, and when that one
    /// is gone the next.
    @Test func theGroupAgrees() {
        let group: [UInt64] = (1...8).map { $0 &* 0x1234_5678_9ABC_DEF1 }
        var fetchedBy: [UInt64: Int] = [:]
        for file in 0..<800 {
            let name = "boot/image-\(file)"
            let orders = group.map { me -> [UInt64] in
                let answers = group.enumerated().filter { $0.element != me }.map {
                    (peer: $0.offset, answer: Self.offer($0.element, .absent))
                }
                let plan = SourcePlan(name: name, node: Self.node(me), answers: answers)
                return plan.seekers.map { seeker in
                    switch seeker {
                    case .thisNode: me
                    case .peer(let index): group[index]
                    }
                }
            }
            #expect(Set(orders).count == 1)
            #expect(Set(orders[0]).count == 8)
            fetchedBy[orders[0][0], default: 0] += 1
        }
        // An eighth each would be 100.
        #expect(fetchedBy.count == 8)
        #expect(fetchedBy.values.allSatisfy { (60...150).contains($0) })
    }

    /// A peer that is not seen does not change the order of the rest.
    @Test func oneThatIsMissing() {
        let all = Self.plan((1...5).map { (Int($0), Self.offer($0, .absent)) })
        let first = all.seekers[0]
        let rest = Self.plan(
            (1...5).filter { .peer(Int($0)) != first }.map { (Int($0), Self.offer($0, .absent)) })
        #expect(rest.seekers == all.seekers.filter { $0 != first } || first == .thisNode)
    }

    static func without(
        _ number: UInt64, _ byteCount: UInt64 = 0, _ pursuit: Offer.Pursuit? = nil
    ) -> SourcePlan.Answer {
        var offer = Offer(node: node(number), state: .absent)
        offer.byteCount = byteCount
        offer.pursuit = pursuit
        return .node(offer)
    }

    /// Of nodes that have lost a source the one with most of the file continues, unless another has
    /// begun to.
    @Test func theNodeThatContinues() {
        let answers = [
            (peer: 0, answer: Self.without(1, 30)), (1, Self.without(2, 20)),
            (2, Self.without(3, 90, .waiting)), (3, Self.without(4, 0, .waiting)),
        ]
        func plan(_ more: [(peer: Int, answer: SourcePlan.Answer)] = []) -> SourcePlan {
            SourcePlan(
                name: "linux.img", node: Self.node(99), answers: answers + more, byteCount: 25)
        }
        #expect(plan().seekers == [.peer(0), .thisNode, .peer(1)])
        // A waiting node is asked when no other one can search.
        #expect(plan().waiters == [2, 3])
        #expect(plan([(4, Self.without(5, 0, .looking))]).seekers.first == .peer(4))
    }

    /// A node with a part of the file does not wait for one that has none of it.
    @Test func aNodeThatIsBehind() {
        var late = Offer(node: Self.node(1), state: .arriving, version: Self.old)
        func plan(here byteCount: UInt64) -> SourcePlan {
            SourcePlan(
                name: "linux.img", node: Self.node(99), answers: [(0, .node(late))],
                byteCount: byteCount)
        }
        #expect(plan(here: 0).sources == [.arriving(0)])
        #expect(plan(here: 10).sources.isEmpty)
        late.byteCount = 1
        #expect(plan(here: 10).sources == [.arriving(0)])
    }
}
