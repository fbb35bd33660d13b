internal import CLinux
internal import Glibc
internal import TFTPCore
internal import TFTPWire

/// Consecutive blocks of one transfer that leave together.
struct GSOBatch {
    var first: UInt64
    var count: Int
    /// The kernel cuts one message into blocks (UDP_SEGMENT); otherwise each block is a message.
    var isSegmented: Bool

    /// What became of a batch.
    struct Departure {
        var blockCount = 0
        var payloadByteCount = 0
        var messageCount = 0
        /// Messages that found no room, and are lost as on a network.
        var blockedCount = 0
    }
}

/// The headers of DATA, which depend on the block number alone: one table does for all transfers.
///
/// A value that points to memory; the owner calls `destroy` after the last use of any copy.
@safe
struct BlockHeaders: @unchecked Sendable {
    private let table: UnsafeMutableRawBufferPointer

    init() {
        let byteCount = Packet.headerByteCount << 16
        unsafe table = .allocate(byteCount: byteCount, alignment: 64)
        var output = unsafe OutputRawSpan(buffer: table, initializedCount: 0)
        for number in UInt16.min...UInt16.max {
            Packet.writeDataHeader(block: BlockNumber(rawValue: number), to: &output)
        }
        _ = unsafe output.finalize(for: table)
    }

    func destroy() { unsafe table.deallocate() }

    /// Where the header of block 0 is; the others follow.
    var start: UnsafeRawPointer { unsafe UnsafeRawPointer(table.baseAddress.unsafelyUnwrapped) }

    subscript(block: BlockNumber) -> clinux_part {
        // In bounds: the table has all 65,536 numbers.
        let address = unsafe start + Packet.headerByteCount * Int(block.rawValue)
        return unsafe clinux_part(
            base: UnsafeMutableRawPointer(mutating: address), byte_count: Packet.headerByteCount)
    }
}

extension DatagramPort {
    /// Gathers `batch` and queues it, as far as the content is in memory. The outbox has room for
    /// it.
    mutating func send(
        _ batch: GSOBatch, _ gather: inout BlockGather, to flow: Flow, slot: Int, generation: UInt32
    ) -> GSOBatch.Departure {
        // A single block is not a batch: its refusal has another cause than segmentation.
        let (single, cut) = (
            Tag.send(slot: slot, generation: generation),
            Tag.batch(slot: slot, generation: generation)
        )
        var departure = GSOBatch.Departure()
        var partCount = 0
        while departure.blockCount < batch.count {
            let parts = unsafe outbox.nextParts + partCount
            let number = batch.first + UInt64(departure.blockCount)
            guard let block = unsafe gather.gather(number, into: parts) else { break }
            departure.blockCount += 1
            departure.payloadByteCount += block.byteCount
            partCount += block.partCount
            guard !batch.isSegmented else { continue }
            depart(partCount, 0, flow, single, &departure)
            partCount = 0
        }
        guard partCount > 0 else { return departure }
        let segmentByteCount =
            departure.blockCount > 1 ? gather.blksize + Packet.headerByteCount : 0
        depart(
            partCount, segmentByteCount, flow, segmentByteCount > 0 ? cut : single, &departure)
        return departure
    }

    private mutating func depart(
        _ partCount: Int, _ segmentByteCount: Int, _ flow: Flow, _ tag: UInt64,
        _ departure: inout GSOBatch.Departure
    ) {
        let isQueued = send(
            parts: partCount, segmentByteCount: segmentByteCount, to: flow, tag: tag)
        if isQueued { departure.messageCount += 1 } else { departure.blockedCount += 1 }
    }
}
