internal import TFTPStore

/// The store thread's side of handlers: the table that decides, and what runs and waits behind its
/// rows.
struct StoreHandlers: ~Copyable {
    /// What goes with a row of the table.
    struct Row {
        let request: OpenRequest
        let asked: HandlerRequest
        var task: Task<Void, Never>?
        /// What was handed in last, and how much of it is in the image.
        var bytes: [UInt8] = []
        var doneByteCount = 0
        /// The tasks that wait.
        var writer: CheckedContinuation<Void, any Error>?
        var consumer: CheckedContinuation<[UInt8]?, any Error>?
        var reader: CheckedContinuation<[UInt8], any Error>?

        init(_ request: OpenRequest, _ asked: HandlerRequest) {
            self.request = request
            self.asked = asked
        }
    }

    let handler: (any RequestHandler)?
    let queue: HandlerQueue
    var table: HandlerTable
    var rows: [Row?]
    /// What tasks have said and is still to be dealt with.
    private var messages: [HandlerMessage] = []
    private var nextMessage = 0

    init(
        _ configuration: ReactorConfiguration, handler: (any RequestHandler)?,
        queue: HandlerQueue, shardCount: Int, pendingsMax: Int
    ) {
        self.handler = handler
        self.queue = queue
        let capacity = handler == nil ? 0 : configuration.handlersMax
        table = HandlerTable(
            capacity: capacity, shardCount: shardCount, pendingsMax: pendingsMax,
            patienceNanoseconds: configuration.handlerNanosecondsMax)
        rows = Array(repeating: nil, count: capacity)
    }

    /// Takes what tasks have said since the last call.
    mutating func receive() {
        let new = queue.takeAll()
        if nextMessage == messages.count {
            messages = new
            nextMessage = 0
        } else {
            messages += new
        }
    }

    mutating func takeMessage() -> HandlerMessage? {
        guard nextMessage < messages.count else {
            messages.removeAll(keepingCapacity: true)
            nextMessage = 0
            return nil
        }
        defer { nextMessage += 1 }
        return messages[nextMessage]
    }
}
