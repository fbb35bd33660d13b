internal import TFTPServing
import TFTPWire

/// The ring of bytes between a client and the task of one transfer, with what must hold of it.
struct ClientContent {
    let isReceiving: Bool
    /// Receiving: what is here. Sending: all that is to be sent.
    private(set) var bytes: [UInt8]
    private(set) var capacity = 0
    /// What the client has handed over: to be taken, or free to be written again.
    private(set) var handedOver = 0
    /// What the task has taken, or written.
    private(set) var moved = 0
    /// The client wants to hear when the task moves.
    var isAwaited = false
    /// The task is going to move.
    var isScheduled = false
    /// Receiving: which of `bytes` are here.
    private var isHere: [Bool] = []

    init(_ task: ClientTask) {
        isReceiving = task.opcode == .rrq
        bytes = isReceiving ? [] : task.content
    }

    var position: ContentPosition {
        ContentPosition(
            byteCount: UInt64(moved), isComplete: !isReceiving && moved == bytes.count)
    }

    /// How much the task could move now.
    var movable: Int {
        isReceiving ? handedOver - moved : min(bytes.count, handedOver + capacity) - moved
    }

    mutating func begin(capacity: Int) { self.capacity = capacity }

    mutating func move(_ count: Int) { moved += count }

    // MARK: What the client orders; each returns what is wrong with that, or nil

    mutating func keep(_ payload: [UInt8], at offset: Int) -> String? {
        let end = offset + payload.count
        guard end - moved <= capacity else { return "a client overruns its content" }
        guard offset >= handedOver else { return "a client overwrites what it has handed over" }
        if end > bytes.count {
            bytes += [UInt8](repeating: 0, count: end - bytes.count)
            isHere += [Bool](repeating: false, count: end - isHere.count)
        }
        for index in payload.indices {
            bytes[offset + index] = payload[index]
            isHere[offset + index] = true
        }
        return nil
    }

    mutating func handOver(_ byteCount: Int) -> String? {
        guard byteCount >= handedOver else { return "a client takes back what it has handed over" }
        let isAll =
            isReceiving
            ? byteCount <= bytes.count && isHere[handedOver..<byteCount].allSatisfy { $0 }
            : byteCount <= moved
        guard isAll else { return "a client hands over what is not there" }
        handedOver = byteCount
        return nil
    }

    /// The bytes of a block that is to be sent.
    func payload(
        ofBlock block: UInt64, blksize: Int, end: Int
    ) -> (bytes: ArraySlice<UInt8>, violation: String?) {
        let begin = Int(block - 1) * blksize
        guard begin <= end, end <= moved, begin >= moved - capacity else {
            return ([], "a client sends what is not there")
        }
        let payload = bytes[begin..<min(begin + blksize, end)]
        guard payload.count == blksize || position.isComplete else {
            return ([], "a client sends a last block before it has all")
        }
        return (payload, nil)
    }
}
