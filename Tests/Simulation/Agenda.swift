import TFTPCore
internal import TFTPServing

/// One UDP datagram between two endpoints.
struct Datagram {
    var source: Endpoint
    var target: Endpoint
    var bytes: [UInt8]
}

/// Something that will happen at a certain time.
enum Event {
    case arrival(Datagram)
    /// The server's store answers.
    case reply(StoreReply, epoch: Int)
    /// An upload is safe.
    case commit(upload: UInt32, epoch: Int)
    /// An attacker sends something.
    case hostile(HostileAct)
    /// A file is replaced by another of its name.
    case replace(file: Int)
    /// The kernel has refused to send something of a transfer.
    case sendRefused(slot: Int, generation: UInt32, epoch: Int)
    /// The server is to end, and starts again when its transfers have ended.
    case drain
    /// More is due than one visit of the server's run queue sent.
    case visit
    /// A client begins its next task, or tries the same one again.
    case start(client: Int)
    /// The task of a client's transfer takes what is there, or writes more.
    case moveContent(session: Int)
    /// More is due than one visit of the clients' run queue sent.
    case visitClients
}

/// What is going to happen, earliest first; at the same time first come, first served.
struct Agenda {
    private struct Entry {
        var time: UInt64
        var sequence: UInt64
        var event: Event

        func isBefore(_ other: Entry) -> Bool {
            time == other.time ? sequence < other.sequence : time < other.time
        }
    }

    /// A binary heap.
    private var entries: [Entry] = []
    private var sequence: UInt64 = 0

    var nextTime: UInt64? { entries.first?.time }

    mutating func add(_ event: Event, at time: UInt64) {
        entries.append(Entry(time: time, sequence: sequence, event: event))
        sequence += 1
        var index = entries.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard entries[index].isBefore(entries[parent]) else { return }
            entries.swapAt(index, parent)
            index = parent
        }
    }

    /// Takes the earliest event. There must be one.
    mutating func removeFirst() -> Event {
        let first = entries[0].event
        let last = entries.removeLast()
        guard !entries.isEmpty else { return first }
        entries[0] = last
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < entries.count {
                if entries[child].isBefore(entries[least]) { least = child }
            }
            guard least != index else { return first }
            entries.swapAt(index, least)
            index = least
        }
    }
}
