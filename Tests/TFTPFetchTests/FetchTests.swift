import Testing

@testable import TFTPFetch

/// What a search does next: answers in, actions out.
@Suite struct FetchTests {
    static let version = FileVersion(size: 10, word: "http-1")
    static let origins = OriginsID(["http://origin/"])

    static func request(
        _ change: (inout Fetch.Request) -> Void = { _ in }
    ) -> Fetch.Request {
        var request = Fetch.Request(name: "f", node: NodeID(rawValue: 99))
        change(&request)
        return request
    }

    static func answer(
        _ peer: Int, _ state: Offer.State, _ version: FileVersion? = nil, origins: OriginsID? = nil
    ) -> Fetch.HeardAnswer {
        var offer = Offer(
            node: NodeID(rawValue: UInt64(peer) + 1), state: state, version: version)
        offer.origins = origins
        return Fetch.HeardAnswer(peer, .node(offer))
    }

    /// The actions of a search, after each of `events`.
    static func actions(_ request: Fetch.Request, _ events: [Fetch.Event]) -> [Fetch.Action] {
        var (fetch, action) = Fetch.begin(request)
        var actions = [action]
        for event in events {
            action = fetch.step(event)
            actions.append(action)
        }
        return actions
    }

    /// No peer holds the file, and all have the same origins: if those do not have it, no peer is
    /// asked to search.
    @Test func aMissCostsNoQuestion() {
        let heard = (0..<40).map { Self.answer($0, .absent, origins: Self.origins) }
        let actions = Self.actions(
            Self.request { $0.origins = Self.origins },
            [.heard(heard, isUncertain: false), .judged(.absent)])
        #expect(actions.last == .finish(.absent))
        let without = (0..<40).map { Self.answer($0, .absent, origins: .nothing) }
        #expect(
            Self.actions(Self.request(), [.heard(without, isUncertain: false)]).last
                == .finish(.absent))
    }

    /// One node of a group has origins: it is asked once, and no other.
    @Test func oneHasOrigins() {
        var heard = (0..<5).map { Self.answer($0, .absent, origins: .nothing) }
        heard[3] = Self.answer(3, .absent, origins: Self.origins)
        var absent = Offer(node: NodeID(rawValue: 4), state: .absent)
        absent.origins = Self.origins
        let actions = Self.actions(
            Self.request(), [.heard(heard, isUncertain: false), .sought(absent)])
        #expect(actions == [.ask, .seek(3, isForced: false), .finish(.absent)])
    }

    /// What the origin has is not replaced by what a peer says.
    @Test func aPeerWithOtherContent() {
        let plain = Fetch.HeardAnswer(0, .plain(.plain(size: 1000)))
        let held = Self.answer(1, .holds, .file(size: 10, modifiedSeconds: 1))
        let actions = Self.actions(
            Self.request { $0.origins = Self.origins },
            [
                .heard([plain, held], isUncertain: false),
                .judged(.has(Self.version, root: nil)),
            ])
        // No other node would do it: the peers that are nodes do not have it from there.
        #expect(actions[1] == .judge(opens: false) || actions[1] == .judge(opens: true))
        #expect(actions.last == .look || actions.last == .seek(1, isForced: false))
        // Where the origin has it not, or does not answer, the peers may have it.
        for verdict in [Fetch.Verdict.absent, .uncertain] {
            let actions = Self.actions(
                Self.request { $0.origins = Self.origins },
                [.heard([held], isUncertain: false), .judged(verdict)])
            guard case .take(let plan) = actions.last else {
                Issue.record("\(verdict): \(actions)")
                continue
            }
            #expect(plan.sources == [.folder(1)])
        }
    }

    /// A peer that fetches the origin's content is its source.
    @Test func aPeerWithTheSameContent() {
        let actions = Self.actions(
            Self.request { $0.origins = Self.origins },
            [
                .heard([Self.answer(0, .arriving, Self.version)], isUncertain: false),
                .judged(.has(Self.version, root: nil)), .took(true),
            ])
        guard case .take(let plan) = actions[2] else {
            Issue.record("\(actions)")
            return
        }
        #expect(plan.sources == [.arriving(0)])
        #expect(actions.last == .finish(.found))
    }

    /// Anybody can repeat what an origin calls its file. A folder's file is never called so, and a
    /// node that only announced itself is not believed what cannot be verified.
    @Test func aPeerThatRepeatsTheOriginsWord() {
        for state in [Offer.State.holds, .arriving] {
            var heard = Self.answer(0, state, Self.version)
            heard.isTrusted = state == .holds
            var (fetch, _) = Fetch.begin(Self.request { $0.origins = Self.origins })
            _ = fetch.step(.heard([heard], isUncertain: false))
            var action = fetch.step(.judged(.has(Self.version, root: nil)))
            if case .node(let offer) = heard.answer, action == .seek(0, isForced: false) {
                action = fetch.step(.sought(offer))
            }
            #expect(action == .look, "\(state)")
        }
    }

    /// A peer that denies what the origin has is not believed.
    @Test func aPeerThatDenies() {
        let heard = Self.answer(0, .absent, origins: Self.origins)
        let denial = Offer(node: NodeID(rawValue: 1), state: .absent)
        var (fetch, _) = Fetch.begin(Self.request { $0.origins = Self.origins })
        _ = fetch.step(.heard([heard], isUncertain: false))
        var action = fetch.step(.judged(.has(Self.version, root: nil)))
        if action == .seek(0, isForced: false) { action = fetch.step(.sought(denial)) }
        // With the same origins its denial ends the search for them; this node has heard them
        // itself.
        #expect(action == .look)
    }

    /// By signatures: peers come first, and one that cannot show the right one is left for another.
    @Test func bySignature() {
        let one = Self.answer(0, .holds, .file(size: 10, modifiedSeconds: 5))
        let two = Self.answer(1, .holds, .file(size: 10, modifiedSeconds: 4))
        let actions = Self.actions(
            Self.request {
                $0.isSigned = true
                $0.origins = Self.origins
            }, [.heard([one, two], isUncertain: false), .took(false), .took(true)])
        guard case .take(let first) = actions[1], case .take(let second) = actions[2] else {
            Issue.record("\(actions)")
            return
        }
        #expect(first.sources == [.folder(0)] && second.sources == [.folder(1)])
        #expect(actions.last == .finish(.found))
    }

    @Test func originsAlone() {
        let request = Self.request { $0.asksOriginsOnly = true }
        #expect(Self.actions(request, [.looked(.absent)]) == [.look, .finish(.absent)])
        #expect(Self.actions(request, [.looked(.found)]) == [.look, .finish(.found)])
    }
}

/// What nodes say of their names.
@Suite struct NodeStateTests {
    @Test func aFilterNeverDenies() throws {
        let hashes = (0..<5000).map { NameFilter.hash(of: "boot/file-\($0)") }
        let filter = try #require(NameFilter(NameFilter(hashes).bytes))
        #expect(hashes.allSatisfy { filter.mayContain($0) })
        let wrong = (0..<5000).count { filter.mayContain(NameFilter.hash(of: "other-\($0)")) }
        #expect(wrong < 150)
        #expect(NameFilter([UInt8](repeating: 0, count: 7)) == nil)
        #expect(NameFilter([]) == nil)
        #expect(!NameFilter([] as [UInt64]).mayContain(1))
    }

    @Test func namesThatAreTheSame() {
        #expect(NameFilter.hash(of: "a//b") == NameFilter.hash(of: "a/b"))
        #expect(NameFilter.hash(of: "a/./b") == NameFilter.hash(of: "a/b"))
        #expect(NameFilter.hash(of: "a/b") != NameFilter.hash(of: "b/a"))
    }

    @Test func aStateIsHeardAsItWasSaid() {
        var state = NodeState(node: NodeID(rawValue: 7), origins: OriginsID(["x"]))
        state.names = .init(revision: 3, count: 2, hashes: [1, 2])
        state.setArriving(["a", "b"])
        state.hasSnapshots = true
        #expect(NodeState(state.text) == state)
        state.setArriving((0..<1000).map { "\($0)" })
        state.names?.hashes = nil
        #expect(NodeState(state.text) == state)
        #expect(state.arriving == nil)
        for text in ["", "bootstorm state 1\n", "bootstorm state 1\nnode 1\norigins 0\n"] {
            #expect(NodeState(text) == nil)
        }
    }

    @Test func whatNamesTell() {
        var state = NodeState(node: NodeID(rawValue: 7), origins: .nothing)
        var known = NameKnowledge()
        #expect(known.word(on: "a") == .mayHave)
        known.set(state)
        // It has not said all.
        #expect(known.word(on: "a") == .mayHave)
        state.setArriving(["c"])
        state.names = .init(revision: 1, count: 1, hashes: [NameFilter.hash(of: "b")])
        known.set(state)
        guard case .hasNot(let offer) = known.word(on: "a") else {
            Issue.record("it may have a")
            return
        }
        #expect(offer.state == .absent && offer.origins == .nothing)
        #expect(known.word(on: "b") == .mayHave && known.word(on: "c") == .mayHave)
        state.names?.hashes = nil
        state.names?.revision = 2
        known.set(state)
        #expect(known.wantedRevision == 2)
        #expect(known.word(on: "a") == .mayHave)
        known.set(NameFilter([NameFilter.hash(of: "b")]), revision: 2)
        #expect(known.wantedRevision == nil)
        #expect(known.word(on: "a") != .mayHave)
        state.hasSnapshots = true
        known.set(state)
        #expect(known.word(on: "sets/old/a") == .mayHave)
    }

    @Test func anIndex() throws {
        let file = SetIndex.File(name: "boot/a b", size: 3, digest: Digest(of: [1, 2, 3]))
        let index = SetIndex(set: "monday", files: [file])
        #expect(SetIndex(index.text) == index)
        #expect(index["boot/a b"] == file && index["boot"] == nil)
        for text in ["", "bootstorm index 1\n", "bootstorm index 1\nset x\nfile 3 zz n\n"] {
            #expect(SetIndex(text) == nil)
        }
    }
}
