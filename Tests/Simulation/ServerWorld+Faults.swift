import TFTPCore
internal import TFTPServing

/// What the machine does to the server.
extension ServerWorld {
    /// Another file takes the name of file `number`.
    mutating func replace(_ number: Int, _ outside: inout Environment) {
        outside.trace("file \(number) is replaced")
        disk.replace(number, &outside)
    }

    /// The kernel tells that it has not sent blocks.
    mutating func refuseSend(
        _ slot: Int, generation: UInt32, epoch: Int, _ outside: inout Environment
    ) {
        guard epoch == disk.epoch else { return }
        server.stepSendFailed(slot, generation: generation, now: outside.now)
        performEffects(&outside)
    }

    /// Whether the kernel will say that it has not sent these blocks.
    mutating func isRefused(_ order: BlockOrder, _ outside: inout Environment) -> Bool {
        // Of a client that has proven nothing there is one block, in the clear.
        guard server.table.isConfirmed(order.slot),
            outside.meets(perMille: outside.faults.sendRefusedPerMille)
        else { return false }
        for _ in 0..<order.count { outside.checker.noteLost() }
        let generation = server.table.generation(of: order.slot)
        outside.schedule(
            .sendRefused(slot: order.slot, generation: generation, epoch: disk.epoch), in: 1000)
        server.didSend(order, count: order.count)
        return true
    }
}
