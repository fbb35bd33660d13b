import TFTPCore
import TFTPWire

/// What must hold in every run. The first thing that does not is kept.
package struct Checker {
    package private(set) var violation: String?
    /// Blocks that the server would have sent if nothing had gone wrong.
    package private(set) var blocksNeeded = 0
    package private(set) var blocksSent = 0
    package private(set) var datagramsSent = 0
    package private(set) var datagramsLost = 0
    /// How often the server sent the first block of a window again.
    package private(set) var rewindCount = 0
    package private(set) var rivalCount = 0
    /// Attempts that a client made because one before had failed without its doing.
    package var attemptsRepeated = 0
    /// Endpoints of clients that got no answer and asked again without options.
    private var askedAnew: Set<Endpoint> = []
    /// How often a client began again without options.
    package private(set) var startedAgainCount = 0
    package private(set) var outcomes: [String: Int] = [:]
    /// The endpoints that the server may send to: those that have sent it something.
    private var heardByServer: Set<Endpoint> = []
    var hostile = HostileBook()
    private var rates: RateWatch
    /// Content that an upload of this name must have.
    private let uploads: [String: [UInt8]]
    private var committed: Set<String> = []
    private let replacesFiles: Bool

    init(_ scenario: Scenario) {
        var uploads: [String: [UInt8]] = [:]
        for task in scenario.clients.joined() where task.opcode == .wrq {
            uploads[task.name] = task.content
        }
        self.uploads = uploads
        replacesFiles = scenario.faults.replacesFiles
        rates = RateWatch(scenario)
    }

    mutating func fail(_ violation: @autoclosure () -> String) {
        if self.violation == nil { self.violation = violation() }
    }

    mutating func expect(_ condition: Bool, _ violation: @autoclosure () -> String) {
        if !condition { fail(violation()) }
    }

    // MARK: Datagrams

    mutating func noteSent(_ datagram: Datagram, isServer: Bool) {
        datagramsSent += 1
        guard isServer else { return }
        if let violation = hostile.judge(datagram) { fail(violation) }
        expect(
            heardByServer.contains(datagram.target),
            "the server sent a packet to a stranger: port \(datagram.target.port)")
    }

    mutating func noteLost() { datagramsLost += 1 }

    mutating func noteHeardByServer(_ source: Endpoint) { heardByServer.insert(source) }

    // MARK: Transfers

    mutating func noteBlocks(_ count: Int) { blocksSent += count }

    mutating func noteBytes(_ byteCount: Int, to client: Address, now: UInt64) {
        expect(
            rates.note(byteCount, to: client, now: now),
            "\(client) and its network get more bytes a second than they may have")
    }

    mutating func noteRestart() {
        hostile.noteRestart()
        rates.noteRestart()
    }
    mutating func noteNeeded(blocks: Int) { blocksNeeded += blocks }
    mutating func noteRewind() { rewindCount += 1 }
    mutating func noteAskedAnew(_ client: Endpoint) { askedAnew.insert(client) }
    func hasAskedAnew(_ client: Endpoint) -> Bool { askedAnew.contains(client) }
    package var askedAnewCount: Int { askedAnew.count }
    mutating func noteStartedAgain() { startedAgainCount += 1 }
    mutating func noteRival() { rivalCount += 1 }

    mutating func noteEnd(_ outcome: Outcome, isServer: Bool) {
        outcomes["\(isServer ? "server" : "client") \(outcome)", default: 0] += 1
    }

    mutating func noteDownload(_ received: [UInt8], of task: ClientTask) {
        expect(
            received == task.content || isOfAnother(received, task),
            "\(received.count) bytes of \(task.name) arrived, not the \(task.content.count) there are"
        )
    }

    /// Whether these are the bytes of one file that has taken the other's name, and of it alone.
    private func isOfAnother(_ received: [UInt8], _ task: ClientTask) -> Bool {
        replacesFiles
            && (received == task.content.exchanged
                || !task.isPart && received == task.content.cutOff)
    }

    /// Whether a file of so many bytes may be the one that was asked for.
    func isPossible(byteCount: UInt64, of task: ClientTask) -> Bool {
        byteCount == UInt64(task.content.count)
            || replacesFiles && !task.isPart && byteCount == UInt64(task.content.count / 2)
    }

    mutating func noteCommit(_ name: String, _ received: [UInt8]) {
        expect(uploads[name] == received, "the upload \(name) was kept with other bytes")
        committed.insert(name)
    }

    mutating func noteUploadDone(_ name: String) {
        expect(committed.contains(name), "the client takes \(name) for stored, and it is not")
    }
}

/// When a server's window began, to measure how often it is started again.
///
/// Between two events of progress the block after the last one acknowledged, the *opening*, may go
/// out again only
///
/// - half a round trip after it went out first, in the natural order of blocks, and
/// - a whole round trip after it went out again.
///
/// The round trip is the least that the network allows, less what the table's coarse stamps lose.
struct Opening {
    /// The block that the window began with; 0 before the first one.
    private var block: UInt64 = 0
    private var sentAt: UInt64 = 0
    private var wasRepeated = false
    /// The highest block sent.
    private var highest: UInt64 = 0

    private static let lossOfStampsNanoseconds: UInt64 = 4 * 65_536

    /// Blocks from `first` to `last` go out.
    ///
    /// - Returns: whether that repeats the first of them; `isTooSoon` when it may not yet.
    mutating func note(
        first: UInt64, last: UInt64, acked: UInt64, roundTripNanoseconds: UInt64, now: UInt64
    ) -> (isRewind: Bool, isTooSoon: Bool) {
        defer { highest = max(highest, last) }
        guard first == acked + 1 else { return (false, false) }
        let isRewind = first <= highest
        let isSameOpening = first == block
        let exact = wasRepeated ? roundTripNanoseconds : roundTripNanoseconds / 2
        // The table keeps the least round trip in eight steps an octave.
        let least = exact - exact / 8
        let elapsed = now - sentAt + Opening.lossOfStampsNanoseconds
        defer {
            block = first
            sentAt = now
            wasRepeated = isRewind
        }
        return (isRewind, isSameOpening && elapsed < least)
    }
}
