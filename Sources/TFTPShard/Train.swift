internal import CLinux
internal import Glibc
internal import TFTPCore
internal import TFTPWire

/// What the payload of DATA is gathered from.
protocol BlockSource {
    /// The bytes from `offset` on that lie in one piece, at least one; nil when they are not in memory.
    ///
    /// They stay until the caller's turn has ended and what it queued has been submitted.
    mutating func piece(at offset: UInt64) -> UnsafeRawBufferPointer?
}

/// Consecutive blocks of one transfer that leave together.
struct Train {
    var first: UInt64
    var count: Int
    var blksize: Int
    /// Of the whole content; the block that it ends in is shorter than the others.
    var byteCount: UInt64
    var rollover: BlockNumber.Rollover
    /// The kernel cuts one message into blocks (UDP_SEGMENT); otherwise each block is a message.
    var isSegmented: Bool

    /// What became of a train.
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
/// A value that points to memory; the owner calls `destroy` after everybody who uses a copy.
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

    subscript(block: BlockNumber) -> iovec {
        let offset = Packet.headerByteCount * Int(block.rawValue)
        // In bounds: the table has all 65,536 numbers.
        let address = unsafe table.baseAddress.unsafelyUnwrapped + offset
        return unsafe iovec(iov_base: address, iov_len: Packet.headerByteCount)
    }
}

extension DatagramPort {
    /// Gathers `train` and queues it, as far as the content is in memory. The outbox has room for it.
    mutating func send(
        _ train: Train, from source: inout some BlockSource, headers: BlockHeaders, to flow: Flow,
        slot: Int, generation: UInt32
    ) -> Train.Departure {
        let tag =
            train.isSegmented
            ? Tag.train(slot: slot, generation: generation)
            : Tag.send(slot: slot, generation: generation)
        var departure = Train.Departure()
        var parts = 0
        while departure.blockCount < train.count {
            let block = train.first + UInt64(departure.blockCount)
            let before = parts
            guard let byteCount = gather(block, of: train, from: &source, headers, &parts) else {
                parts = before
                break
            }
            departure.blockCount += 1
            departure.payloadByteCount += byteCount
            guard !train.isSegmented else { continue }
            depart(parts, 0, flow, tag, &departure)
            parts = 0
        }
        guard parts > 0 else { return departure }
        let segmentByteCount =
            departure.blockCount > 1 ? train.blksize + Packet.headerByteCount : 0
        depart(parts, segmentByteCount, flow, tag, &departure)
        return departure
    }

    private mutating func depart(
        _ parts: Int, _ segmentByteCount: Int, _ flow: Flow, _ tag: UInt64,
        _ departure: inout Train.Departure
    ) {
        let isQueued = send(parts: parts, segmentByteCount: segmentByteCount, to: flow, tag: tag)
        if isQueued { departure.messageCount += 1 } else { departure.blockedCount += 1 }
    }

    /// Puts the vectors of one block behind the `parts` that are there. Returns its bytes; nil when some are not in
    /// memory.
    private func gather(
        _ block: UInt64, of train: Train, from source: inout some BlockSource,
        _ headers: BlockHeaders, _ parts: inout Int
    ) -> Int? {
        var offset = (block - 1) * UInt64(train.blksize)
        let byteCount = Int(
            min(UInt64(train.blksize), train.byteCount - min(offset, train.byteCount)))
        let number = BlockNumber(block, rollover: train.rollover)
        unsafe outbox.nextParts[parts] = headers[number]
        parts += 1
        var left = byteCount
        while left > 0 {
            guard let piece = unsafe source.piece(at: offset) else { return nil }
            let taken = min(left, piece.count)
            unsafe outbox.nextParts[parts] = iovec(
                iov_base: UnsafeMutableRawPointer(mutating: piece.baseAddress), iov_len: taken)
            parts += 1
            left -= taken
            offset += UInt64(taken)
        }
        return byteCount
    }
}
