/// A file whose content goes over that of another one, a piece at a time.
@safe
struct FileCopy {
    let upload: UInt32
    let from: Int32
    let to: Int32
    let byteCount: UInt64
    var doneByteCount: UInt64 = 0
    /// Where this copy is a backup, what is copied then: the upload itself.
    var next: Next?
    /// Of the piece that was read last.
    var pieceByteCount = 0
    private var memory: UnsafeMutableRawPointer?

    /// The copy of an upload into the file that it replaces.
    struct Next {
        let from: Int32
        let to: Int32
        let byteCount: UInt64
    }

    private static let pieceByteCountMax = 256 << 10

    init(upload: UInt32, from: Int32, to: Int32, byteCount: UInt64) {
        self.upload = upload
        self.from = from
        self.to = to
        self.byteCount = byteCount
    }

    /// Room for the next piece; the same each time.
    mutating func takeMemory() -> UnsafeMutableRawBufferPointer {
        let room =
            unsafe memory
            ?? .allocate(byteCount: FileCopy.pieceByteCountMax, alignment: 4096)
        unsafe memory = room
        let count = min(UInt64(FileCopy.pieceByteCountMax), byteCount - doneByteCount)
        return unsafe UnsafeMutableRawBufferPointer(start: room, count: Int(count))
    }

    /// What was read last.
    var piece: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: memory, count: pieceByteCount)
    }

    func freeMemory() { unsafe memory?.deallocate() }
}
