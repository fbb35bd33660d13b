/// Uploads that handlers take.
extension HandlerTable {
    struct Consumer {
        /// Chunks of the shard's pool, oldest first, and how full they are.
        var chunks: [(chunk: UInt32, byteCount: Int)] = []
        /// The task waits for the next.
        var isWaiting = false
        var isLastSeen = false
        /// Whether the task has ended, and how.
        var end: Bool?
    }

    private func consumer(_ number: UInt32) -> Consumer? {
        guard case .consuming(let consumer) = rows[Int(number)]?.state else { return nil }
        return consumer
    }

    private func uploadName(of number: UInt32) -> UInt32 {
        HandlerTable.uploadFlag | (id(of: number).generation & 0x7FFF) << 16 | number
    }

    /// The row that takes an upload; nil when it is closed.
    private func number(ofUpload name: UInt32) -> UInt32? {
        let number = name & 0xFFFF
        guard Int(number) < rows.count, rows[Int(number)] != nil else { return nil }
        return uploadName(of: number) == name ? number : nil
    }

    /// The handler takes the upload. Returns whether the client still waits; if not, the row is
    /// closed.
    package mutating func stepConsume(_ number: UInt32) -> Bool {
        guard waits(number), let client = rows[Int(number)]?.client else {
            close(number)
            return false
        }
        forgetPending(of: client)
        rows[Int(number)]?.state = .consuming(Consumer())
        actions.append(.openUpload(client, upload: uploadName(of: number)))
        return true
    }

    /// The task waits for the next bytes. False when nothing will come.
    package mutating func stepNext(_ number: UInt32) -> Bool {
        guard var consumer = consumer(number), !consumer.isWaiting, consumer.end == nil else {
            return false
        }
        consumer.isWaiting = true
        rows[Int(number)]?.state = .consuming(consumer)
        serveConsumer(number)
        return true
    }

    private mutating func serveConsumer(_ number: UInt32) {
        guard var consumer = consumer(number), consumer.isWaiting,
            let shard = rows[Int(number)]?.client.shard
        else { return }
        if let (chunk, byteCount) = consumer.chunks.first {
            consumer.chunks.removeFirst()
            actions.append(
                .resumeConsumer(number, chunk: chunk, byteCount: byteCount, shard: shard))
        } else if consumer.isLastSeen {
            actions.append(.resumeConsumer(number, chunk: nil, byteCount: 0, shard: shard))
        } else {
            return
        }
        consumer.isWaiting = false
        rows[Int(number)]?.state = .consuming(consumer)
    }

    /// A chunk has come for an upload that a handler takes.
    package mutating func stepChunk(
        _ upload: UInt32, shard: Int, _ chunk: UInt32, byteCount: Int, isLast: Bool
    ) {
        guard let number = number(ofUpload: upload), var consumer = consumer(number) else {
            return actions.append(.giveBack(chunk: chunk, shard: shard))
        }
        consumer.isLastSeen = isLast
        // A handler that has returned already has seen enough of it.
        if byteCount > 0 && consumer.end == nil {
            consumer.chunks.append((chunk, byteCount))
        } else {
            actions.append(.giveBack(chunk: chunk, shard: shard))
        }
        rows[Int(number)]?.state = .consuming(consumer)
        serveConsumer(number)
        commitConsumed(number)
    }

    mutating func endConsumer(_ number: UInt32, isWell: Bool) {
        guard var consumer = consumer(number), let client = rows[Int(number)]?.client else {
            return
        }
        giveBackChunks(&consumer, client.shard)
        // Another task of the body may wait in `next` still.
        if consumer.isWaiting { actions.append(.stopConsumer(number)) }
        consumer.isWaiting = false
        consumer.end = isWell
        rows[Int(number)]?.state = .consuming(consumer)
        // Where it has failed, the row stays until the shard's `abort`.
        isWell ? commitConsumed(number) : actions.append(.fail(client, .handler))
    }

    private mutating func giveBackChunks(_ consumer: inout Consumer, _ shard: Int) {
        for (chunk, _) in consumer.chunks {
            actions.append(.giveBack(chunk: chunk, shard: shard))
        }
        consumer.chunks = []
    }

    /// When everything has come and the handler is content with it, the client hears so.
    private mutating func commitConsumed(_ number: UInt32) {
        guard let consumer = consumer(number), let client = rows[Int(number)]?.client,
            consumer.isLastSeen, consumer.end == true
        else { return }
        actions.append(.commit(client))
        close(number)
    }

    /// The transfer has ended before its time.
    package mutating func stepAbort(_ upload: UInt32) {
        guard let number = number(ofUpload: upload), var consumer = consumer(number),
            let shard = rows[Int(number)]?.client.shard
        else { return }
        giveBackChunks(&consumer, shard)
        if consumer.isWaiting { actions.append(.stopConsumer(number)) }
        abandon(number, isTaskEnded: consumer.end != nil)
    }
}
