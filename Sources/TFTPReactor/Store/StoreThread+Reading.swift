internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPCore
internal import TFTPServing
internal import TFTPStore
internal import Uring

/// Extents: read by the ring, compared with what is known of their content, and handed to shards.
extension StoreThread {
    mutating func didRead(_ order: ImageCache.ReadOrder, _ result: Int32) {
        var status = clinux_status()
        let isKnown = unsafe clinux_status_of(order.file, &status) == 0
        var identity = isKnown ? FileIdentity(status) : nil
        if result < 0 { noteFailure(.reading, Errno(rawValue: -result)) }
        if let now = identity, now.hasGrown(since: cache.imageIndex.identity(of: order.key.image)),
            !hasKeptContent(order)
        {
            identity = nil
        }
        // What is of another version by now is not shown to anybody, and the cache says so.
        if let identity, result == order.byteCount, let judge = configuration.contentCheck,
            identity.hasSameContent(as: cache.imageIndex.identity(of: order.key.image)),
            judge.knows(identity)
        {
            return check(order, identity, by: judge)
        }
        cache.didRead(
            order.key, byteCount: Int(max(0, result)), identity: identity,
            failure: result < 0 ? StoreFailure(Errno(rawValue: -result)) : nil)
    }

    // MARK: Checking

    /// For the cache the read lasts until the extent has been compared, and so does its operation:
    /// there are no more copies of extents than operations.
    private mutating func check(
        _ order: ImageCache.ReadOrder, _ identity: FileIdentity, by judge: any ContentCheck
    ) {
        let number = ring.hold()
        let extent = unsafe extent(of: order)
        handlers.queue.check(
            HandlerQueue.Check(operation: number, order: order, identity: identity),
            unsafe Array(extent),
            at: UInt64(order.key.number) * UInt64(ImageIndex.extentByteCount), by: judge)
    }

    /// The place in the arena that `order`, which may have been the last of several, has filled.
    private func extent(of order: ImageCache.ReadOrder) -> UnsafeMutableRawBufferPointer {
        let begin = UInt64(order.key.number) * UInt64(ImageIndex.extentByteCount)
        let doneByteCount = Int(order.fileOffset - begin)
        // The cache keeps the place for this read until it is told of the end.
        return unsafe UnsafeMutableRawBufferPointer(
            start: resources.arena + order.arenaOffset - doneByteCount,
            count: doneByteCount + order.byteCount)
    }

    mutating func takeChecks() {
        for check in handlers.queue.takeChecks() {
            ring.give(check.operation)
            var isRight = true
            switch check.result {
            case .right: break
            case .mended(let bytes):
                let extent = unsafe extent(of: check.order)
                if bytes.count == extent.count {
                    unsafe extent.copyBytes(from: bytes)
                } else {
                    isRight = false
                }
            case .wrong: isRight = false
            }
            cache.didRead(
                check.order.key, byteCount: isRight ? check.order.byteCount : 0,
                identity: check.identity, failure: isRight ? nil : .input)
        }
    }

    /// Does what the cache asks for.
    mutating func carryOut() {
        // Reads take operations that are free; the rest of the actions wait for the next turn. One
        // action may lead to others.
        while ring.freeCount > 0 && !cache.actions.isEmpty {
            var index = 0
            let actions = cache.actions
            while index < actions.count && ring.freeCount > 0 {
                carryOut(actions[index])
                index += 1
            }
            cache.actions.removeFirst(index)
        }
    }

    private mutating func carryOut(_ action: ImageCache.Action) {
        switch action {
        case .read(let order): read(order)
        case .answer(let waiter, _) where waiter.shard == HandlerTable.tasks,
            .answerEnd(let waiter, _) where waiter.shard == HandlerTable.tasks:
            handlers.table.stepReady(waiter, now: clinux_now(), &cache)
            carryOutHandlers()
        case .answer(let waiter, let failure): answer(waiter, failure)
        case .answerEnd(let waiter, let byteCount):
            reply(
                .ended(slot: waiter.slot, generation: waiter.generation, byteCount: byteCount),
                Int(waiter.shard))
        case .resume(let image, let supplier):
            if handlers.table.streams(image, supplier) { fill(supplier) }
        case .stopSupply(let image, let supplier):
            handlers.table.stepUnwanted(image, supplier)
            carryOutHandlers()
        case .closeFile(let file): clinux_close(file)
        case .reopen(let image): reopen(image)
        case .awaitGrace: shards.beginGrace()
        }
    }

    private mutating func read(_ order: ImageCache.ReadOrder) {
        let target = unsafe UnsafeMutableRawBufferPointer(
            start: resources.arena + order.arenaOffset, count: order.byteCount)
        ring.start(.read(order)) { ring, tag, _ in
            unsafe ring.queueRead(
                file: order.file, into: target, offset: order.fileOffset, userData: tag)
        }
    }

    private mutating func answer(_ waiter: ImageCache.Waiter, _ failure: StoreFailure?) {
        let shard = Int(waiter.shard)
        guard let failure else {
            return reply(.ready(slot: waiter.slot, generation: waiter.generation), shard)
        }
        reply(
            .lost(slot: waiter.slot, generation: waiter.generation, failure: failure), shard)
    }
}
