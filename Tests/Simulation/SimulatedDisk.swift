internal import TFTPServing
import TFTPStore
import TFTPWire

/// The store of a simulated server: files in arrays, and answers that take their time.
struct SimulatedDisk {
    var files: [ServedFile]
    /// What has come of each upload.
    private(set) var openUploads: [UInt32: Upload] = [:]
    /// Whether a visit of the server's queue is on the agenda.
    var isVisitScheduled = false
    private var nextUpload: UInt32 = 0

    /// A file, and which extents of it are in memory.
    struct ServedFile {
        static let extentByteCount = 256
        var content: [UInt8]
        var isPresent: [Bool]
        /// Transfers that hold it.
        var useCount = 0

        init(_ content: [UInt8], isPresent: Bool) {
            self.content = content
            let count = content.count / ServedFile.extentByteCount + 1
            self.isPresent = Array(repeating: isPresent, count: count)
        }
    }

    struct Upload {
        var name: String
        var slot: UInt32
        var generation: UInt32
        var received: [UInt8] = []
    }

    init(_ scenario: Scenario) {
        let isPresent = scenario.faults.diskNanoseconds == 0
        files = scenario.files.map { ServedFile($0, isPresent: isPresent) }
    }

    /// The number of the file that has this name.
    func number(of name: FileName) -> Int? {
        guard let number = Int(String(decoding: [UInt8](copying: name.bytes), as: UTF8.self)),
            files.indices.contains(number)
        else { return nil }
        return number
    }

    func absentExtent(_ file: Int, _ range: Range<Int>) -> Int? {
        guard !range.isEmpty else { return nil }
        let first = range.lowerBound / ServedFile.extentByteCount
        let last = (range.upperBound - 1) / ServedFile.extentByteCount
        return (first...last).first { !files[file].isPresent[$0] }
    }

    // MARK: Questions

    /// Does what the server asks for, and answers after a while.
    mutating func answer(
        _ request: StoreRequest, _ memory: ServingMemory, _ outside: inout Environment
    ) {
        let delay = outside.random.below(outside.faults.diskNanoseconds)
        switch request {
        case .open(let slot, let generation, let pending):
            let name = memory.pendings[Int(pending)].name
            outside.schedule(.reply(open(slot, generation, pending, name)), in: delay)
        case .openUpload(let slot, let generation, let pending, _):
            let name = memory.pendings[Int(pending)].name.bytes
            nextUpload += 1
            openUploads[nextUpload] = Upload(
                name: String(decoding: [UInt8](copying: name), as: UTF8.self), slot: slot,
                generation: generation)
            outside.schedule(
                .reply(
                    .uploadOpened(
                        slot: slot, generation: generation, pending: pending, upload: nextUpload)),
                in: delay)
        case .want(let slot, let generation, let image, let extent, _):
            bring(Int(extent), ofFile: Int(image.index), &outside)
            outside.schedule(.reply(.ready(slot: slot, generation: generation)), in: delay)
        case .write(let upload, let chunk, let byteCount, let isLast):
            let bytes = UnsafeRawBufferPointer(start: memory.chunk(chunk), count: Int(byteCount))
            outside.schedule(.reply(.written(chunk: chunk)), in: delay)
            openUploads[upload]?.received += bytes
            guard isLast, let kept = openUploads.removeValue(forKey: upload) else { return }
            outside.checker.noteCommit(kept.name, kept.received)
            outside.schedule(
                .reply(.committed(slot: kept.slot, generation: kept.generation)), in: delay)
        case .abort(let upload):
            openUploads[upload] = nil
        case .ask, .giveUp:
            outside.checker.fail("a handler is asked, and there is none")
        }
    }

    private mutating func open(
        _ slot: UInt32, _ generation: UInt32, _ pending: UInt32, _ name: FileName
    ) -> StoreReply {
        guard let number = number(of: name) else {
            return .refused(
                slot: slot, generation: generation, pending: pending, failure: .notFound)
        }
        files[number].useCount += 1
        return .opened(
            slot: slot, generation: generation, pending: pending,
            image: ImageID(index: UInt32(number), generation: 0))
    }

    /// The extent is read; another one may have to make room for it.
    private mutating func bring(_ extent: Int, ofFile file: Int, _ outside: inout Environment) {
        if outside.random.chance(perMille: outside.faults.evictionPerMille) {
            files[file].isPresent[outside.random.below(files[file].isPresent.count)] = false
        }
        files[file].isPresent[extent] = true
    }
}
