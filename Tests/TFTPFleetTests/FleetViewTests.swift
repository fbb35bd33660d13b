import Testing

@testable import TFTPFleet

/// What a node makes of what an engine says: changes in, sets out.
@Suite struct FleetViewTests {
    static let place = FleetPlace(fleet: "f", hall: "h1", rack: "r1", node: "n1")

    static func current(_ set: String, at seconds: Int, _ revision: Int64 = 1) -> FleetView.Entry {
        .init(
            text: FleetValue.text(
                CurrentSet(set: set, previous: nil, by: "me", at: seconds, reason: nil)),
            revision: revision)
    }

    /// Applies a change, and compares whether the node is to serve something else.
    static func expect(
        _ change: FleetChange, _ isOther: Bool, _ view: inout FleetView,
        _ location: SourceLocation = #_sourceLocation
    ) {
        let applied = view.apply(change, now: .zero)
        #expect(applied == isOther, sourceLocation: location)
    }

    @Test func theNarrowestScopeWins() {
        var view = FleetView(place: Self.place)
        Self.expect(.all([.current(.fleet): Self.current("a", at: 1)], 1), true, &view)
        #expect(view.accepted?.set == "a")
        Self.expect(.put(.current(.hall("h1")), Self.current("b", at: 2, 2)), true, &view)
        view.apply(.put(.current(.hall("h2")), Self.current("c", at: 3, 3)), now: .zero)
        #expect(view.accepted?.set == "b")
        let rack = FleetKey.current(.rack(hall: "h1", rack: "r1"))
        Self.expect(.put(rack, Self.current("d", at: 4, 4)), true, &view)
        #expect(view.accepted?.set == "d")
        #expect(view.current?.scope == .rack(hall: "h1", rack: "r1"))
    }

    @Test func theEngineIsGone() {
        var view = FleetView(place: Self.place)
        view.apply(.all([.current(.fleet): Self.current("a", at: 1)], 1), now: .zero)
        Self.expect(.away("x"), false, &view)
        #expect(view.accepted?.set == "a" && view.isConnected == false)
    }

    /// A restored backup does not have anybody go back.
    @Test func anEngineThatWasRestored() {
        var view = FleetView(place: Self.place)
        view.apply(.all([.current(.fleet): Self.current("new", at: 10)], 9), now: .zero)
        Self.expect(.all([.current(.fleet): Self.current("old", at: 5)], 2), false, &view)
        #expect(view.accepted?.set == "new")
        #expect(view.outdated?.set == "old")
        Self.expect(.all([:], 1), false, &view)
        #expect(view.accepted?.set == "new" && view.outdated == nil)
        Self.expect(.all([.current(.fleet): Self.current("next", at: 11)], 3), true, &view)
    }

    /// What one member knows that is cut off is better than nothing, and no engine that is heard.
    @Test func aMemberThatIsCutOff() {
        var view = FleetView(place: Self.place)
        Self.expect(.stale([.current(.fleet): Self.current("a", at: 1)], 1), true, &view)
        #expect(view.accepted?.set == "a" && view.isConnected == false)
    }

    @Test func aValueThatCannotBeRead() {
        var view = FleetView(place: Self.place)
        view.apply(.all([.current(.fleet): Self.current("a", at: 1)], 1), now: .zero)
        let bad = FleetView.Entry(text: "{", revision: 2)
        Self.expect(.put(.current(.fleet), bad), false, &view)
        #expect(view.accepted?.set == "a")
        #expect(view.refused == [.current(.fleet)])
    }

    @Test(arguments: [
        "current/fleet", "current/hall/h1", "current/rack/h/r", "stage/node/n", "nodes/h/r/n",
        "order/n", "history/17/fleet",
    ])
    func keys(text: String) { #expect(FleetKey(text)?.description == text) }

    @Test(arguments: [
        "current", "current/", "current/room/x", "nodes/h", "x/y", "current/hall/a b",
    ])
    func whatIsNoKey(text: String) { #expect(FleetKey(text) == nil) }

    @Test func addresses() {
        let address = EtcdFleet.Address("etcd://a,b:2,[::1]/prod")
        #expect(address?.members == ["http://a:2379", "http://b:2", "http://[::1]:2379"])
        #expect(address?.fleet == "prod")
        #expect(EtcdFleet.Address("ETCDS://[::1]:4/f")?.members == ["https://[::1]:4"])
        for text in ["etcd://a", "http://a/f", "etcd:///f", "etcd://a/f/g"] {
            #expect(EtcdFleet.Address(text) == nil)
        }
    }
}

/// Changes that a fleet is asked for.
@Suite struct PromotionTests {
    static func promote(
        _ set: String, to scope: FleetScope, at seconds: Int, in engine: SimulatedFleet,
        atLeast: Double = 0
    ) throws -> GuardedChange {
        try Promotion.promote(
            set, to: scope, by: "me", at: seconds, reason: nil, atLeast: atLeast,
            in: try engine.read().entries)
    }

    static func set(_ scope: FleetScope, in engine: SimulatedFleet) throws -> String? {
        let entry = try engine.read().entries[.current(scope)]
        return entry.flatMap { FleetValue.read(CurrentSet.self, $0.text)?.set }
    }

    @Test func oneOfTwoWins() throws {
        let engine = SimulatedFleet()
        let first = try Self.promote("a", to: .fleet, at: 1, in: engine)
        let second = try Self.promote("b", to: .fleet, at: 1, in: engine)
        #expect(try engine.change(first))
        #expect(try !engine.change(second))
        #expect(try Self.set(.fleet, in: engine) == "a")
    }

    @Test func aCanaryBecomesTheRule() throws {
        let engine = SimulatedFleet()
        let rack = FleetScope.rack(hall: "h", rack: "r")
        #expect(try engine.change(try Self.promote("old", to: .hall("h"), at: 1, in: engine)))
        #expect(try engine.change(try Self.promote("new", to: rack, at: 2, in: engine)))
        #expect(try engine.change(try Self.promote("new", to: .hall("h"), at: 3, in: engine)))
        #expect(try Self.set(rack, in: engine) == nil)
        let back = try Promotion.rollBack(
            .hall("h"), from: "new", by: "me", at: 3, reason: nil, in: try engine.read().entries)
        #expect(try engine.change(back))
        #expect(try Self.set(.hall("h"), in: engine) == "old")
        #expect(throws: Promotion.Refusal.otherSet("old")) {
            try Promotion.rollBack(
                .hall("h"), from: "new", by: "me", at: 4, reason: nil,
                in: try engine.read().entries)
        }
    }

    /// A scope that had no order of its own goes back to the order of a wider one.
    @Test func backToWhatWasInherited() throws {
        let engine = SimulatedFleet()
        let rack = FleetScope.rack(hall: "h", rack: "r")
        #expect(try engine.change(try Self.promote("old", to: .fleet, at: 1, in: engine)))
        #expect(try engine.change(try Self.promote("new", to: rack, at: 2, in: engine)))
        let back = try Promotion.rollBack(
            rack, from: nil, by: "me", at: 3, reason: nil, in: try engine.read().entries)
        #expect(try engine.change(back))
        // It follows the fleet again, and its nodes accept the fleet's word.
        #expect(try Self.set(rack, in: engine) == nil)
        var view = FleetView(
            place: FleetPlace(fleet: "f", hall: "h", rack: "r", node: "n"),
            accepted: CurrentSet(set: "new", previous: "old", by: "me", at: 2, reason: nil))
        FleetViewTests.expect(.all(try engine.read().entries, 9), true, &view)
        #expect(view.accepted?.set == "old")
    }

    /// The narrowest scope that contains another one says what that one inherits.
    @Test func whatANodeInherits() throws {
        let engine = SimulatedFleet()
        var joins = GuardedChange()
        joins.puts[.node(hall: "h", rack: "r", node: "n")] = FleetValue.text(
            NodeReport(address: "x"))
        #expect(try engine.change(joins))
        let rack = FleetScope.rack(hall: "h", rack: "r")
        for (set, scope) in [
            ("a", FleetScope.fleet), ("b", .hall("h")), ("c", rack), ("d", .node("n")),
        ] { #expect(try engine.change(try Self.promote(set, to: scope, at: 1, in: engine))) }
        for (scope, previous) in [(FleetScope.node("n"), "c"), (rack, "b"), (.hall("h"), "a")] {
            let text = try engine.read().entries[.current(scope)]?.text ?? ""
            #expect(FleetValue.read(CurrentSet.self, text)?.previous == previous)
        }
        // Without its node's word the node has the rack's.
        #expect(
            try engine.change(
                try Promotion.rollBack(
                    .node("n"), from: "d", by: "me", at: 1, reason: nil,
                    in: try engine.read().entries)))
        #expect(try Self.set(.node("n"), in: engine) == nil)
        // A node's canary that has become the rack's rule needs none.
        for scope in [FleetScope.node("n"), rack] {
            #expect(try engine.change(try Self.promote("e", to: scope, at: 1, in: engine)))
        }
        #expect(try Self.set(.node("n"), in: engine) == nil)
    }

    /// A set that is promoted twice is not what was there before it.
    @Test func theSameSetTwice() throws {
        let engine = SimulatedFleet()
        for set in ["a", "b", "b"] {
            #expect(try engine.change(try Self.promote(set, to: .fleet, at: 1, in: engine)))
        }
        #expect(
            try engine.change(
                try Promotion.rollBack(
                    .fleet, from: "b", by: "me", at: 1, reason: nil,
                    in: try engine.read().entries)))
        #expect(try Self.set(.fleet, in: engine) == "a")
    }

    /// Each word is later than all before it, whatever clocks say; a time that none can follow is
    /// not read.
    @Test func timesRise() throws {
        let engine = SimulatedFleet()
        #expect(try engine.change(try Self.promote("a", to: .hall("x"), at: 100, in: engine)))
        #expect(try engine.change(try Self.promote("b", to: .fleet, at: 1, in: engine)))
        let text = try engine.read().entries[.current(.fleet)]?.text ?? ""
        #expect(FleetValue.read(CurrentSet.self, text)?.at == 101)
        for at in ["-1", "9223372036854775807"] {
            let value = #"{"set":"a","by":"me","at":\#(at)}"#
            #expect(FleetValue.read(CurrentSet.self, value) == nil)
            var change = GuardedChange()
            change.puts[.current(.hall("y"))] = value
            #expect(try engine.change(change))
            #expect(try engine.change(try Self.promote("c", to: .fleet, at: 1, in: engine)))
        }
        var change = GuardedChange()
        change.puts[.current(.hall("y"))] = FleetValue.text(
            CurrentSet(
                set: "z", previous: nil, by: "me", at: CurrentSet.atRange.upperBound, reason: nil))
        #expect(try engine.change(change))
        #expect(throws: Promotion.Refusal.noTimeLeft) {
            try Self.promote("c", to: .fleet, at: 1, in: engine)
        }
    }

    /// Only a node that is registered can be drained; one that has gone can be put back.
    @Test func aNodeToDrain() throws {
        let engine = SimulatedFleet()
        let node = FleetPlace(fleet: "f", hall: "h", rack: "r", node: "n")
        for isDraining in [true, false] {
            #expect(throws: Promotion.Refusal.noSuchNode("n")) {
                try Promotion.drain("n", isDraining: isDraining, in: try engine.read().entries)
            }
        }
        try engine.report(NodeReport(address: "x"), of: node, isMissing: false)
        let drain = try Promotion.drain("n", isDraining: true, in: try engine.read().entries)
        #expect(try engine.change(drain))
        var change = GuardedChange()
        change.deletes = [node.key]
        #expect(try engine.change(change))
        let undo = try Promotion.drain("n", isDraining: false, in: try engine.read().entries)
        #expect(try engine.change(undo))
    }

    @Test func noNodeIsThere() throws {
        let engine = SimulatedFleet()
        #expect(throws: Promotion.Refusal.noNodes(.hall("h"))) {
            try Self.promote("s", to: .hall("h"), at: 1, in: engine, atLeast: 0.5)
        }
    }

    @Test func notEnoughNodesHaveIt() throws {
        let engine = SimulatedFleet()
        var report = NodeReport(address: "x")
        var change = GuardedChange()
        for (node, ready) in [("a", ["s"]), ("b", [])] {
            report.ready = ready
            change.puts[.node(hall: "h", rack: "r", node: node)] = FleetValue.text(report)
        }
        #expect(try engine.change(change))
        #expect(throws: Promotion.Refusal.notReady(readyCount: 1, nodeCount: 2)) {
            try Self.promote("s", to: .fleet, at: 1, in: engine, atLeast: 0.95)
        }
        #expect(
            try engine.change(try Self.promote("s", to: .fleet, at: 1, in: engine, atLeast: 0.5)))
    }
}
