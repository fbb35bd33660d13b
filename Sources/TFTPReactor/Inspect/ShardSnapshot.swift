internal import CLinux
internal import Synchronization
package import TFTPCore
package import TFTPServing
package import TFTPWire

/// One running transfer, as it was when its shard was asked.
package struct TransferRow: BitwiseCopyable, Sendable {
    package var view: TransferView
    package var mode: TransferMode
    package var fingerprint: Fingerprint
    /// The options that were granted, or asked while nothing has been granted.
    package var options: Options
    package var name: RecordName
    /// The first and the end of what is transferred, in bytes of the file; the end is `.max` while
    /// unknown.
    package var partBegin: UInt64
    package var partEnd: UInt64
    /// Bytes of an upload that have arrived.
    package var receivedByteCount: UInt64
    /// A handler, a peer or an origin supplies it, or is asked about it.
    package var isSupplied: Bool
    package var isSealed: Bool
}

/// Memory that an asker lends to a shard, which fills it in its own turns, a bounded number of rows
/// in each.
///
/// Allocated and freed by the asker (`SnapshotLoan`). Between `InspectionLink.offer` and `finish`
/// it is the shard's.
@safe
struct ShardSnapshot: ~Copyable {
    /// Room for rows.
    let rows: UnsafeMutableBufferPointer<TransferRow>
    /// An eventfd of the asker.
    let wakeup: Int32
    /// What is behind the rows that have been written.
    private(set) var rowCount = 0
    /// The slot to look at next.
    var nextSlot = 0
    /// Transfers by `TransferView.Phase.rawValue`, also those without a row.
    var phaseCounts = InlineArray<6, Int>(repeating: 0)
    /// How many of them wait for the store.
    var parkedCount = 0
    private let isFinished = Atomic<Bool>(false)

    init(rows: UnsafeMutableBufferPointer<TransferRow>, wakeup: Int32) {
        unsafe self.rows = unsafe rows
        self.wakeup = wakeup
    }

    /// Counts a transfer, and keeps it while there is room.
    mutating func add(_ view: TransferView, _ row: @autoclosure () -> TransferRow) {
        phaseCounts[Int(view.phase.rawValue)] += 1
        if view.waiting == .parked { parkedCount += 1 }
        guard unsafe rowCount < rows.count else { return }
        unsafe (rows.baseAddress.unsafelyUnwrapped + rowCount).initialize(to: row())
        rowCount += 1
    }

    /// The asker may have its memory back.
    func finish() {
        // The asker closes the eventfd once it sees the end: by then it is not used any more.
        clinux_eventfd_ring(wakeup)
        isFinished.store(true, ordering: .releasing)
    }

    var hasFinished: Bool { isFinished.load(ordering: .acquiring) }
}

extension ShardLimits {
    /// Slots that are looked at for a snapshot in one turn: some ten microseconds.
    static let snapshotSlotsPerTurn = 2048
    /// Rows that are written in one turn: about 50 KiB.
    static let snapshotRowsPerTurn = 128
}
