internal import TFTPCore
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// Fills requested snapshots, in the shard's own turn.
extension Shard {
    /// Goes on with a snapshot that is wanted. What does not fit into this turn is left for the
    /// next.
    mutating func answerInspection() {
        guard let snapshot = unsafe link.inspection.takeSnapshot() else { return }
        var slot = unsafe snapshot.pointee.nextSlot
        let slotEnd = min(server.table.capacity, slot + ShardLimits.snapshotSlotsPerTurn)
        let rowEnd = unsafe snapshot.pointee.rowCount + ShardLimits.snapshotRowsPerTurn
        while unsafe slot < slotEnd && snapshot.pointee.rowCount < rowEnd {
            if let view = server.table.view(of: slot, now: now) {
                unsafe snapshot.pointee.add(view, row(of: slot, view))
            }
            slot += 1
        }
        unsafe snapshot.pointee.nextSlot = slot
        guard slot < server.table.capacity else { return unsafe snapshot.pointee.finish() }
        unsafe link.inspection.offer(snapshot)
        link.ring()
    }

    private func row(of slot: Int, _ view: TransferView) -> TransferRow {
        var row = TransferRow(view)
        let subject = server.table.subject(of: slot)
        guard subject != UInt32.max else { return row }
        if view.phase == .opening {
            let pending = unsafe link.pendings[Int(subject)]
            row.mode = pending.mode
            row.options = pending.options
            row.fingerprint = Fingerprint(pending.options, filename: pending.name.bytes)
            row.name = RecordName(pending.name.bytes)
            row.isSealed = pending.isSealed
            row.isSupplied =
                pending.isSealed
                || server.mayAskHandler(
                    isUpload: pending.opcode == .wrq)
            return row
        }
        let entry = server.contents[subject]
        row.mode = entry.mode
        row.options = entry.options
        row.fingerprint = entry.fingerprint
        row.name = entry.name
        row.partBegin = entry.partBegin
        row.partEnd = entry.partEnd
        row.isSupplied = entry.isSupplied
        row.isSealed = entry.isSealed
        if entry.isUpload {
            row.receivedByteCount = server.receivedByteCount(ofUpload: entry.upload)
        }
        return row
    }
}

extension TransferRow {
    init(_ view: TransferView) {
        self.init(
            view: view, mode: .octet, fingerprint: .other, options: Options(), name: RecordName(),
            partBegin: 0, partEnd: .max, receivedByteCount: 0, isSupplied: false, isSealed: false)
    }
}

extension Shard {
    /// Copies a batch of blocks for the trace of the client. Without a trace it is one branch.
    func traceBlocks(_ slot: Int, first: UInt64, _ count: Int, _ payloadByteCount: Int) {
        guard let tap, count > 0 else { return }
        tap.noteBlocks(
            first: BlockNumber(first, rollover: server.table.rollover(of: slot)), count: count,
            blksize: server.table.blksize(of: slot), payloadByteCount: payloadByteCount,
            server.table.flow(of: slot), shard: link.index, now: now)
    }
}
