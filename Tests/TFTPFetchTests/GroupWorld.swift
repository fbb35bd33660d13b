import Simulation

@testable import TFTPFetch

/// Nodes that fetch one file, and sources of it that fail, with a clock of their own. `SourcePlan`
/// and `Arrival` decide what nodes do; a seed decides when they do it, and which messages arrive.
///
/// A tick is about ten milliseconds. Messages take a few; a host that is down times out.
final class GroupWorld {
    struct Settings {
        var nodeCount = 8
        var originCount = 1
        var holderCount = 0
        var fileByteCount: UInt64 = 600
        /// The clients of all nodes send their requests within this number of ticks.
        var startTicks = 5
        /// The end of a node is noticed within this number of ticks.
        var patienceTicks = 20
        /// Nodes that have lost their source, or wait, say so. Without it there have to be circles.
        var saysSo = true
        /// Is done at each tick.
        var event: (GroupWorld) -> Void = { _ in }
    }

    enum Source: Equatable {
        case folder(Int)
        case origin(Int)
        case image(Image)

        static func == (left: Source, right: Source) -> Bool {
            switch (left, right) {
            case (.folder(let left), .folder(let right)): left == right
            case (.origin(let left), .origin(let right)): left == right
            case (.image(let left), .image(let right)): left === right
            default: false
            }
        }
    }

    /// A file on its way to a node.
    final class Image {
        let node: Int
        var arrival: Arrival
        var source: Source?
        var search: Search?
        var latestAt = 0
        var searchCount = 0
        var restsUntil = 0
        var failed: Set<Int> = []
        var hasEnded = false

        init(_ node: Int, _ upstream: Arrival.Footing) {
            self.node = node
            arrival = Arrival(upstream: upstream)
        }

        var byteCount: UInt64 { arrival.progress.byteCount }
    }

    struct Node {
        let id: NodeID
        var holds = false
        var isAlive = true
        var startsAt = 0
        /// What is known of the file; the table's resolution.
        var isRooted = false
        var isWhole = false
        var origin: Int?
        var current: Image?
        /// What its clients get.
        var served: Image?
        var coldSearch: Search?
        /// When the look at the origins under way is over.
        var lookEndsAt: Int?
        var hasFailed = false
    }

    /// A search for the file: what `Fetch` decides, and what is under way for it.
    final class Search {
        var fetch: Fetch
        var step: Step
        /// Peers that have not answered yet, and when they time out.
        var waiting: [(peer: Int, at: Int)]
        var answers: [Fetch.HeardAnswer] = []
        let failed: Set<Int>

        enum Step {
            /// The peers are being asked.
            case asking
            /// An origin is being asked what it has.
            case judging(at: Int)
            /// A word is under way to a node.
            case telling(Int, isForced: Bool, at: Int)
            /// That node looks, or this one does.
            case looking(Int)
            /// What was told is to be taken.
            case taken(Source?)
        }

        enum Outcome {
            case pending
            /// nil: no reachable source has it.
            case over(Source?)
        }

        init(_ fetch: Fetch, _ waiting: [(peer: Int, at: Int)], except failed: Set<Int>) {
            self.fetch = fetch
            self.waiting = waiting
            self.failed = failed
            step = .asking
        }
    }

    let settings: Settings
    var random: SimulationRandom
    var now = 0
    var nodes: [Node]
    var images: [Image] = []
    var isOriginAlive: [Bool]
    /// Which nodes do not receive from which, and until when; origins are numbered after the nodes.
    var cuts: [[Int]: Int] = [:]
    var originByteCount: UInt64 = 0
    /// How many got the file from an origin at once, at most.
    var originReadersMax = 0
    var hasCircle = false

    private let version: FileVersion
    /// All nodes have the same.
    private let origins = OriginsID(["origin"])

    init(_ settings: Settings, seed: UInt64) {
        self.settings = settings
        var random = SimulationRandom(seed: seed)
        nodes = (0..<settings.nodeCount).map { _ in
            Node(id: NodeID(rawValue: .random(in: 1...(.max), using: &random)))
        }
        for index in nodes.indices {
            nodes[index].holds = index < settings.holderCount
            nodes[index].startsAt = .random(in: 0...settings.startTicks, using: &random)
        }
        isOriginAlive = Array(repeating: true, count: settings.originCount)
        version = .plain(size: settings.fileByteCount)
        self.random = random
    }

    /// Those whose clients ought to have got the file.
    var wanting: [Int] { nodes.indices.filter { nodes[$0].isAlive && !nodes[$0].holds } }

    func isComplete(_ node: Int) -> Bool { nodes[node].served?.byteCount == settings.fileByteCount }

    /// Runs until all have the file, or have failed.
    func run() {
        while now < 20_000, wanting.contains(where: { !isComplete($0) && !nodes[$0].hasFailed }) {
            now += 1
            settings.event(self)
            for node in nodes.indices.shuffled(using: &random) where nodes[node].isAlive {
                stepNode(node)
            }
            for image in images.shuffled(using: &random) where nodes[image.node].isAlive {
                stepImage(image)
            }
            look()
        }
    }

    func kill(_ node: Int) {
        nodes[node].isAlive = false
        nodes[node].current = nil
    }

    /// Now and then ends something, or cuts a way for a while.
    func disturb() {
        cuts = cuts.filter { $0.value > now }
        guard now < 400, Int.random(in: 0..<40, using: &random) == 0 else { return }
        let one = Int.random(in: 0..<nodes.count, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0 where nodes.count(where: \.isAlive) > 3: kill(one)
        case 1: isOriginAlive[0] = false
        default:
            let other = Int.random(in: 0..<nodes.count + isOriginAlive.count, using: &random)
            cuts[[one, other]] = now + .random(in: 1...80, using: &random)
        }
    }

    /// Images that come from an origin.
    var originReaders: [Image] {
        images.filter { image in
            guard nodes[image.node].isAlive, !image.hasEnded, case .origin = image.source else {
                return false
            }
            return true
        }
    }

    private func look() {
        originReadersMax = max(originReadersMax, originReaders.count)
        for image in images {
            var other = image
            var count = 0
            while case .image(let next) = other.source, !other.hasEnded, count <= images.count {
                other = next
                count += 1
            }
            hasCircle = hasCircle || count > images.count
        }
    }

    private func delay() -> Int { now + .random(in: 1...3, using: &random) }

    private func isHeard(_ one: Int, _ other: Int) -> Bool {
        guard cuts[[one, other]] == nil, cuts[[other, one]] == nil else { return false }
        return other < nodes.count ? nodes[other].isAlive : isOriginAlive[other - nodes.count]
    }

    private func reachableOrigin(_ node: Int) -> Int? {
        isOriginAlive.indices.first { isHeard(node, nodes.count + $0) }
    }

    // MARK: Nodes

    private func stepNode(_ node: Int) {
        if let end = nodes[node].lookEndsAt, now >= end { endLook(node) }
        guard now >= nodes[node].startsAt, !nodes[node].holds, nodes[node].served == nil,
            !nodes[node].hasFailed
        else { return }
        if nodes[node].isRooted || nodes[node].current != nil {
            nodes[node].served = join(node)
        } else if let search = nodes[node].coldSearch {
            guard case .over(let source) = stepSearch(search, node) else { return }
            nodes[node].coldSearch = nil
            // It may have been promised to a node meanwhile.
            if !nodes[node].isRooted, nodes[node].current == nil {
                guard let source else { return nodes[node].hasFailed = true }
                begin(node, source)
            }
            nodes[node].served = join(node)
        } else {
            nodes[node].coldSearch = newSearch(node, byteCount: 0, except: [])
        }
    }

    private func join(_ node: Int) -> Image {
        if let image = nodes[node].current { return image }
        return begin(node, nodes[node].origin.map { .origin($0) })
    }

    @discardableResult
    private func begin(_ node: Int, _ source: Source?) -> Image {
        let image = Image(node, isRooted(source) ? .rooted : .waiting)
        image.source = source
        image.latestAt = now
        images.append(image)
        nodes[node].current = image
        return image
    }

    private func isRooted(_ source: Source?) -> Bool {
        if case .image = source { false } else { source != nil }
    }

    private func endLook(_ node: Int) {
        nodes[node].lookEndsAt = nil
        guard let origin = reachableOrigin(node), !isJoinable(node) else { return }
        // The waiting image is abandoned, and another one begins: a node has forced the search.
        if nodes[node].current?.arrival.upstream == .waiting { nodes[node].current = nil }
        nodes[node].origin = origin
        nodes[node].isRooted = true
    }

    private func isJoinable(_ node: Int) -> Bool {
        guard let image = nodes[node].current, !image.hasEnded else {
            return nodes[node].isRooted || nodes[node].isWhole
        }
        return image.arrival.isJoinable(isPromised: nodes[node].isRooted)
    }

    private func offer(_ node: Int) -> Offer {
        let image = nodes[node].current
        var offer = Offer(node: nodes[node].id, state: .absent)
        offer.origins = origins
        offer.byteCount = image?.byteCount ?? 0
        if nodes[node].holds || isJoinable(node) {
            offer.state = nodes[node].holds ? .holds : .arriving
            offer.version = version
        } else if image?.arrival.upstream == .waiting {
            offer.pursuit = .waiting
        } else if nodes[node].lookEndsAt != nil {
            offer.pursuit = .looking
        }
        return offer
    }

    // MARK: Searches

    private func newSearch(
        _ node: Int, byteCount: UInt64, except failed: Set<Int>
    ) -> Search {
        var request = Fetch.Request(name: "file", node: nodes[node].id)
        request.byteCount = byteCount
        request.origins = origins
        let (fetch, _) = Fetch.begin(request)
        let asked = nodes.indices.filter { $0 != node && !failed.contains($0) }
        return Search(
            fetch,
            asked.map { ($0, isHeard(node, $0) ? delay() : now + settings.patienceTicks) },
            except: failed)
    }

    private func stepSearch(_ search: Search, _ node: Int) -> Search.Outcome {
        switch search.step {
        case .asking:
            while let index = search.waiting.firstIndex(where: { now >= $0.at }) {
                let peer = search.waiting.remove(at: index).peer
                if isHeard(node, peer) { search.answers.append(.init(peer, .node(offer(peer)))) }
            }
            guard search.waiting.isEmpty else { return .pending }
            return act(
                search.fetch.step(.heard(search.answers, isUncertain: !search.failed.isEmpty)),
                search, node)
        case .judging(let at):
            guard now >= at else { return .pending }
            let isThere = reachableOrigin(node) != nil
            return act(
                search.fetch.step(.judged(isThere ? .has(version, root: nil) : .uncertain)),
                search, node)
        case .telling(let peer, let isForced, let at):
            guard now >= at else { return .pending }
            return told(search, node, peer, isForced: isForced)
        case .looking(let looker):
            if isHeard(node, looker) || looker == node, nodes[looker].lookEndsAt != nil {
                return .pending
            }
            return looked(search, node, looker)
        case .taken(let source):
            guard case .finish(let outcome) = search.fetch.step(.took(source != nil)) else {
                return .over(nil)
            }
            return .over(outcome == .found ? source : nil)
        }
    }

    /// Begins what `Fetch` says.
    private func act(_ action: Fetch.Action, _ search: Search, _ node: Int) -> Search.Outcome {
        switch action {
        case .ask: search.step = .asking
        case .judge:
            search.step = .judging(
                at: reachableOrigin(node) != nil ? delay() : now + settings.patienceTicks)
        case .take(let plan):
            search.step = .taken(plan.sources.first.flatMap { fetch($0.peer) })
            return stepSearch(search, node)
        case .takeFetcher(let peer, _):
            search.step = .taken(fetch(peer))
            return stepSearch(search, node)
        case .look:
            startLook(node)
            search.step = .looking(node)
        case .seek(let peer, let isForced):
            search.step = .telling(
                peer, isForced: isForced,
                at: isHeard(node, peer) ? delay() : now + settings.patienceTicks)
        case .finish: return .over(nil)
        }
        return .pending
    }

    /// The message has reached the node, or is lost.
    private func told(
        _ search: Search, _ node: Int, _ peer: Int, isForced: Bool
    ) -> Search.Outcome {
        guard isHeard(node, peer) else { return act(search.fetch.step(.sought(nil)), search, node) }
        let isWaiting = !isForced && nodes[peer].current?.arrival.upstream == .waiting
        if isJoinable(peer) || nodes[peer].holds || isWaiting {
            return act(search.fetch.step(.sought(offer(peer))), search, node)
        }
        startLook(peer)
        search.step = .looking(peer)
        return .pending
    }

    private func looked(_ search: Search, _ node: Int, _ looker: Int) -> Search.Outcome {
        if looker == node {
            guard let origin = reachableOrigin(node) else {
                return act(search.fetch.step(.looked(.uncertain)), search, node)
            }
            _ = search.fetch.step(.looked(.found))
            return .over(.origin(origin))
        }
        guard isHeard(node, looker), isJoinable(looker) else {
            // One that could not ask its origin does not know.
            return act(search.fetch.step(.sought(nil)), search, node)
        }
        return act(search.fetch.step(.sought(offer(looker))), search, node)
    }

    private func startLook(_ node: Int) {
        guard nodes[node].lookEndsAt == nil else { return }
        let isThere = reachableOrigin(node) != nil
        nodes[node].lookEndsAt = isThere ? delay() : now + settings.patienceTicks
    }

    private func fetch(_ peer: Int) -> Source? {
        nodes[peer].holds ? .folder(peer) : .image(join(peer))
    }

    // MARK: Images

    private func stepImage(_ image: Image) {
        guard !image.hasEnded else { return }
        if let search = image.search {
            guard case .over(let found) = stepSearch(search, image.node)
            else { return }
            image.search = nil
            return go(on: image, found)
        }
        guard let source = image.source else {
            return now >= image.restsUntil ? lose(image) : ()
        }
        let count = min(available(source, image), settings.fileByteCount - image.byteCount, 4)
        if count > 0 {
            image.arrival.progress.byteCount += count
            image.latestAt = now
            image.searchCount = 0
            if case .origin = source { originByteCount += count }
        } else if now - image.latestAt >= settings.patienceTicks || hasBrokenOff(source) {
            lose(image)
        }
        if image.byteCount == settings.fileByteCount {
            image.hasEnded = true
            if nodes[image.node].current === image { nodes[image.node].isWhole = true }
        }
    }

    private func available(_ source: Source, _ image: Image) -> UInt64 {
        switch source {
        case .folder(let peer): isHeard(image.node, peer) ? 4 : 0
        case .origin(let origin): isHeard(image.node, nodes.count + origin) ? 4 : 0
        case .image(let other):
            isHeard(image.node, other.node) && other.byteCount > image.byteCount
                ? other.byteCount - image.byteCount : 0
        }
    }

    private func hasBrokenOff(_ source: Source) -> Bool {
        guard case .image(let other) = source else { return false }
        return other.hasEnded && other.byteCount < settings.fileByteCount
    }

    private func lose(_ image: Image) {
        if image.arrival.upstream != .lost, settings.saysSo {
            image.arrival.upstream = .lost
            if nodes[image.node].current === image { nodes[image.node].isRooted = false }
        }
        image.failed = []
        switch image.source {
        case .folder(let peer): image.failed = [peer]
        case .image(let other): image.failed = [other.node]
        case .origin, nil: break
        }
        image.source = nil
        image.searchCount += 1
        guard image.searchCount <= 4 else {
            image.hasEnded = true
            if nodes[image.node].current === image { nodes[image.node].current = nil }
            if nodes[image.node].served === image { nodes[image.node].hasFailed = true }
            return
        }
        image.search = newSearch(
            image.node, byteCount: image.byteCount, except: image.failed)
    }

    private func go(on image: Image, _ found: Source?) {
        image.latestAt = now
        let isCurrent = nodes[image.node].current === image
        if isCurrent, nodes[image.node].isRooted, let origin = nodes[image.node].origin {
            image.source = .origin(origin)
            image.arrival.upstream = .rooted
            return
        }
        image.source = found
        guard let found else {
            image.restsUntil = now + 10 << image.searchCount
            return
        }
        image.arrival.upstream = isRooted(found) || !settings.saysSo ? .rooted : .waiting
        if isCurrent { nodes[image.node].isRooted = isRooted(found) }
    }
}
