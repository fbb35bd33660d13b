/// Uploads on their way from chunks to a name. Sans-IO: the store thread opens, writes and links, and this says
/// what comes next.
///
/// Chunks are written at offsets in the order they were handed in, whatever order the writes end in. The file gets
/// its name after the last write has ended well, and never otherwise.
package struct UploadBook: ~Copyable {
    package struct Upload: Sendable {
        package var file: Int32
        package var directory: Int32
        /// Where it is to stand, from the root on.
        package var name: FileName
        /// The last component of that, in `directory`.
        package var leaf: FileName
        /// The name of the temporary, on file systems where it must have one.
        package var temporary: FileName?
        /// Whether it may take the place of another file.
        package var replaces: Bool
        package var shard: UInt32
        package var slot: UInt32
        package var generation: UInt32
        fileprivate var byteCount: UInt64 = 0
        fileprivate var writesInFlight = 0
        fileprivate var isLastSeen = false
        fileprivate var isAborted = false
        fileprivate var errno: Int32 = 0

        package init(
            file: Int32, directory: Int32, name: FileName, temporary: FileName?, replaces: Bool,
            shard: UInt32, slot: UInt32, generation: UInt32
        ) {
            self.file = file
            self.directory = directory
            self.name = name
            leaf = name.lastComponent
            self.temporary = temporary
            self.replaces = replaces
            self.shard = shard
            self.slot = slot
            self.generation = generation
        }
    }

    package enum Verdict: Equatable, Sendable {
        /// Nothing yet.
        case wait
        /// Everything is written: give it its name, answer, and `close`.
        case commit
        /// Tell the shard that it can not be had; the upload stays until `abort`.
        case fail(errno: Int32)
        /// Nobody wants it any more: throw it away and `close`.
        case discard
    }

    private var uploads: [Upload?]
    private var free: [Int]

    package init(uploadsMax: Int) {
        uploads = Array(repeating: nil, count: uploadsMax)
        free = Array((0..<uploadsMax).reversed())
    }

    package var isFull: Bool { free.isEmpty }
    package var count: Int { uploads.count - free.count }

    package subscript(number: UInt32) -> Upload? { uploads[Int(number)] }

    /// - Precondition: not full.
    package mutating func open(_ upload: Upload) -> UInt32 {
        let number = free.removeLast()
        uploads[number] = upload
        return UInt32(number)
    }

    /// `byteCount` bytes are to be appended. Returns where they go, or nil when they need not be written.
    package mutating func stepWrite(
        _ number: UInt32, byteCount: Int, isLast: Bool
    ) -> UInt64? {
        guard var upload = uploads[Int(number)] else { return nil }
        assert(!upload.isLastSeen, "nothing comes after the last chunk")
        upload.isLastSeen = isLast
        defer { uploads[Int(number)] = upload }
        guard upload.errno == 0, !upload.isAborted, byteCount > 0 else { return nil }
        let offset = upload.byteCount
        upload.byteCount += UInt64(byteCount)
        upload.writesInFlight += 1
        return offset
    }

    /// What is next after a write that did not have to be made.
    package func verdict(_ number: UInt32) -> Verdict {
        guard let upload = uploads[Int(number)], upload.writesInFlight == 0 else { return .wait }
        if upload.isAborted { return .discard }
        if upload.errno != 0 { return upload.isLastSeen ? .discard : .wait }
        return upload.isLastSeen ? .commit : .wait
    }

    /// A write ended; `errno` is 0 when all of it is in the file. The first failure is told, once.
    package mutating func didWrite(_ number: UInt32, errno: Int32) -> Verdict {
        guard var upload = uploads[Int(number)] else { return .wait }
        assert(upload.writesInFlight > 0)
        upload.writesInFlight -= 1
        let isFirst = errno != 0 && upload.errno == 0 && !upload.isAborted
        if isFirst { upload.errno = errno }
        uploads[Int(number)] = upload
        return isFirst ? .fail(errno: errno) : verdict(number)
    }

    /// The shard has given it up.
    package mutating func abort(_ number: UInt32) -> Verdict {
        guard uploads[Int(number)] != nil else { return .wait }
        uploads[Int(number)]?.isAborted = true
        return verdict(number)
    }

    /// Every upload that is open, to be thrown away at the end.
    package func openNumbers() -> [UInt32] {
        uploads.indices.filter { uploads[$0] != nil }.map { UInt32($0) }
    }

    package mutating func close(_ number: UInt32) {
        assert(uploads[Int(number)]?.writesInFlight == 0)
        uploads[Int(number)] = nil
        free.append(Int(number))
    }
}
