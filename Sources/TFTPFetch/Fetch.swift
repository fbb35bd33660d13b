/// One search for a file: which source to query next, and what follows from the answers. The caller
/// does what each action says, and passes the result to `step`, until it is told to finish.
///
/// 1. The peers are queried. If their answers count (their manifests must be signed, or this node
///    has no origins of its own), a peer that holds the file is the source.
/// 2. Otherwise the node's origins are queried. An origin's content is not replaced by a peer's:
///    only peers with the same content may send it. If the origin does not have the file, that
///    holds for all nodes with the same origins.
/// 3. If no peer has it yet, one node of the group fetches it for all (`SourcePlan.seekers`).
///
/// A value without a clock or a socket.
package struct Fetch: Equatable, Sendable {
    /// What is searched for, and on whose behalf.
    package struct Request: Equatable, Sendable {
        package var name: String
        package var node: NodeID
        /// Whether a node may be a source that fetches the file itself; not for a node that was
        /// asked by another one.
        package var mayWait = true
        /// How much of the file is here: a search for another source of it. What an origin has by
        /// now is of no matter then.
        package var byteCount: UInt64 = 0
        /// Peers are believed by what has been signed.
        package var isSigned = false
        /// By which nodes know whether they have the same origins; nil where this one has none.
        package var origins: OriginsID?
        /// Peers are not asked at all.
        package var asksOriginsOnly = false

        /// A search from the beginning.
        package init(name: String, node: NodeID) {
            self.name = name
            self.node = node
        }
    }

    /// What the caller does next.
    package enum Action: Equatable, Sendable {
        /// Ask the peers what they have: `.heard`.
        case ask
        /// Ask the origins what they have: `.judged`. `opens`: this node is meant to fetch it.
        case judge(opens: Bool)
        /// Make the plan's sources the file's, if they can say what it is made of: `.took`.
        case take(SourcePlan)
        /// Make a node that fetches it the file's source: `.took`.
        case takeFetcher(Int, Offer)
        /// Make an origin the file's source: `.looked`.
        case look
        /// Have a node look for it: `.sought`. `isForced`: also where it gets the file from another
        /// node.
        case seek(Int, isForced: Bool)
        case finish(Outcome)
    }

    /// How a search ends.
    package enum Outcome: Equatable, Sendable {
        /// With what was taken last.
        case found
        /// No source has it.
        case absent
        /// One may have it that could not be asked, or is not trusted.
        case uncertain
    }

    /// What the origins say of a file.
    package enum Verdict: Equatable, Sendable {
        case has(FileVersion, root: Digest?)
        case absent
        case uncertain
    }

    /// What came of an action.
    package enum Event: Equatable, Sendable {
        /// What the peers said, the quickest first, and whether one may have it that could not say
        /// so.
        case heard([HeardAnswer], isUncertain: Bool)
        case judged(Verdict)
        case took(Bool)
        case looked(Outcome)
        /// What the node has after it has looked; nil where it has not said.
        case sought(Offer?)
    }

    /// A peer's answer.
    package struct HeardAnswer: Equatable, Sendable {
        package var peer: Int
        package var answer: SourcePlan.Answer
        /// Whether the peer was named to this node, or is asked under a seal; false for one that
        /// has only announced itself, as anybody can.
        package var isTrusted: Bool

        /// See the properties.
        package init(_ peer: Int, _ answer: SourcePlan.Answer, isTrusted: Bool = true) {
            (self.peer, self.answer, self.isTrusted) = (peer, answer, isTrusted)
        }
    }

    private enum Phase: Equatable {
        case asking
        case judging
        case taking([Int])
        case seeking
        case asked(Int)
        case joining
        case looking
        case finished
    }

    /// How many nodes are asked to look for a file, one after the other, where none has it.
    package static let seekersMax = 3

    private let request: Request
    private var phase = Phase.asking
    private var answers: [HeardAnswer] = []
    private var verdict: Verdict?
    private var isUncertain = false
    private var seekers: [SourcePlan.Seeker] = []
    private var waiters: [Int] = []
    /// Origins that have been looked at in vain.
    private var vain: Set<OriginsID> = []

    /// - Returns: also what to do first.
    package static func begin(_ request: Request) -> (Fetch, Action) {
        var fetch = Fetch(request)
        guard !request.asksOriginsOnly else {
            fetch.phase = .looking
            return (fetch, .look)
        }
        return (fetch, .ask)
    }

    private init(_ request: Request) { self.request = request }

    /// Takes what came of the last action, and says what to do next.
    package mutating func step(_ event: Event) -> Action {
        switch (phase, event) {
        case (.asking, .heard(let heard, let isUncertain)):
            answers = heard
            self.isUncertain = isUncertain
            return needsVerdict ? judge() : decide()
        case (.judging, .judged(let verdict)):
            self.verdict = verdict
            if case .absent = verdict, let origins = request.origins { vain.insert(origins) }
            return decide()
        case (.taking, .took(true)), (.joining, .took(true)): return finish(.found)
        case (.taking(let peers), .took(false)):
            // A peer without a trusted signature, or with content other than announced, is not a
            // source. The file does exist, though, so the result must not be `absent`.
            answers.removeAll { peers.contains($0.peer) }
            isUncertain = true
            return decide()
        case (.joining, .took(false)): return seek()
        case (.looking, .looked(let outcome)): return looked(outcome)
        case (.asked(let peer), .sought(let offer)): return sought(peer, offer)
        default: preconditionFailure("what came of an action belongs to another one")
        }
    }

    // MARK: What the answers mean

    /// Whether the origins have to be heard before anything is taken from a peer.
    private var needsVerdict: Bool {
        // Where no peer has said anything, the origins are looked at for the file itself.
        guard request.origins != nil, request.byteCount == 0, !answers.isEmpty else {
            return false
        }
        return request.isSigned ? request.mayWait && plan().version == nil : hasPeers
    }

    private var hasPeers: Bool { request.mayWait || plan().version != nil }

    private func plan() -> SourcePlan {
        SourcePlan(
            name: request.name, node: request.node,
            answers: answers.filter(isAdmitted).map { ($0.peer, $0.answer) },
            mayWait: request.mayWait, byteCount: request.byteCount, isDated: request.isSigned)
    }

    /// Whether what a peer has may be the file: it is what the origin has, or the origin has
    /// nothing to say.
    private func isAdmitted(_ answer: HeardAnswer) -> Bool {
        guard case .has(let version, let root) = verdict, !request.isSigned else { return true }
        switch answer.answer {
        case .plain(let other): return other == version && !version.isPlain
        case .node(let offer):
            guard let other = offer.version else { return true }
            if let root, let otherRoot = offer.root {
                return root == otherRoot && other.size == version.size
            }
            guard other == version else { return false }
            // What an origin calls its versions is known to anyone that asks it. A file of a folder
            // is never called so, and what arrives without a manifest cannot be verified.
            return !version.isOfOrigin || offer.state == .arriving && answer.isTrusted
        }
    }

    private mutating func judge() -> Action {
        phase = .judging
        return .judge(opens: !request.mayWait || plan().seekers.first == .thisNode)
    }

    private mutating func decide() -> Action {
        let plan = plan()
        if plan.version != nil {
            phase = .taking(plan.sources.map(\.peer))
            return .take(plan)
        }
        guard request.mayWait else {
            if case .absent = verdict { return finish(.absent) }
            phase = .looking
            return .look
        }
        seekers = Array(plan.seekers.filter(mayFind).prefix(Fetch.seekersMax))
        if !seekers.contains(.thisNode), mayFind(.thisNode) { seekers.append(.thisNode) }
        waiters = Array(plan.waiters.prefix(Fetch.seekersMax))
        return seek()
    }

    // MARK: Having it looked for

    /// Which origins a node has, as far as it has said: nil is not known, and `.none` none.
    private func origins(of peer: Int) -> OriginsID? {
        for answer in answers where answer.peer == peer {
            if case .node(let offer) = answer.answer { return offer.origins }
        }
        return nil
    }

    private var hasHeardOfIt: Bool { if case .has = verdict { true } else { false } }

    /// Whether a node has origins that may have the file: they have not been queried in vain.
    private func mayFind(_ seeker: SourcePlan.Seeker) -> Bool {
        switch seeker {
        // What this node's origins have told it outweighs what other nodes say.
        case .thisNode: hasHeardOfIt || request.origins.map { !vain.contains($0) } ?? false
        case .peer(let peer):
            origins(of: peer).map { $0 != .nothing && !vain.contains($0) } ?? true
        }
    }

    private mutating func seek() -> Action {
        while !seekers.isEmpty {
            let seeker = seekers.removeFirst()
            guard mayFind(seeker) else { continue }
            switch seeker {
            case .thisNode:
                phase = .looking
                return .look
            case .peer(let peer):
                phase = .asked(peer)
                return .seek(peer, isForced: false)
            }
        }
        guard isUncertain, !waiters.isEmpty else {
            return finish(isUncertain ? .uncertain : .absent)
        }
        let peer = waiters.removeFirst()
        phase = .asked(peer)
        return .seek(peer, isForced: true)
    }

    private mutating func sought(_ peer: Int, _ offer: Offer?) -> Action {
        // One that waits for another, or has not said, has not looked.
        guard let offer, offer.pursuit == nil else { return seek() }
        guard offer.version != nil else {
            // A node that has searched in vain has done so for all nodes with the same origins. A
            // node that does not know its origins' identity assumes that of the others too, and
            // searches only its own.
            if let origins = origins(of: peer) {
                vain.insert(origins)
            } else if request.origins != nil {
                seekers.removeAll { $0 != .thisNode }
            }
            return seek()
        }
        let isTrusted = answers.first { $0.peer == peer }?.isTrusted ?? false
        guard isAdmitted(HeardAnswer(peer, .node(offer), isTrusted: isTrusted)) else {
            return seek()
        }
        phase = .joining
        return .takeFetcher(peer, offer)
    }

    private mutating func looked(_ outcome: Outcome) -> Action {
        switch outcome {
        case .found: return finish(.found)
        case .absent:
            if let origins = request.origins { vain.insert(origins) }
        case .uncertain: isUncertain = true
        }
        guard request.mayWait, !request.asksOriginsOnly else {
            return finish(isUncertain ? .uncertain : .absent)
        }
        return seek()
    }

    private mutating func finish(_ outcome: Outcome) -> Action {
        phase = .finished
        return .finish(outcome)
    }
}

/// Names a set of origins: nodes that say the same have the same.
package struct OriginsID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    /// No origins at all.
    package static let nothing = OriginsID(rawValue: 0)

    /// Of origins as they were given, in any order.
    package init(_ origins: [String]) {
        rawValue =
            origins.isEmpty
            ? 0 : NameHash.mixed(NameHash.value(of: origins.sorted().joined(separator: "\n"))) | 1
    }

    private init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Reads hexadecimal digits.
    package init?(_ text: some StringProtocol) {
        guard let value = UInt64(text, radix: 16) else { return nil }
        rawValue = value
    }

    /// Hexadecimal digits.
    package var description: String { String(rawValue, radix: 16) }
}
