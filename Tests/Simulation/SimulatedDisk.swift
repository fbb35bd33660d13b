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
    /// How often the server has started. Answers to requests of an earlier start are dropped.
    var epoch = 0
    private var nextUpload: UInt32 = 0
    /// How often the disk was full for uploads of each name.
    private var fullCounts: [String: Int] = [:]
    private static let fullCountMax = 3
    /// Which of `files` a name stands for: another one since it was replaced.
    private var latest: [Int]
    private let partsAreAsked: [Bool]

    /// A file, and which extents of it are in memory.
    struct ServedFile {
        static let extentByteCount = 256
        var content: [UInt8]
        var isPresent: [Bool]
        /// Transfers that hold it.
        var useCount = 0
        /// Another file has its name: what is not in memory cannot be read any more.
        var isReplaced = false

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
        latest = Array(files.indices)
        partsAreAsked = files.indices.map { file in
            scenario.clients.joined().contains { $0.name == "\(file)" && $0.isPart }
        }
    }

    /// Another file takes the name: one of other bytes, or one that is cut off in the middle.
    mutating func replace(_ file: Int, _ outside: inout Environment) {
        let old = files[latest[file]]
        guard !old.isReplaced, latest[file] == file else { return }
        let isCut = !partsAreAsked[file] && outside.random.chance(perMille: 500)
        let content = isCut ? old.content.cutOff : old.content.exchanged
        files[latest[file]].isReplaced = true
        latest[file] = files.count
        files.append(ServedFile(content, isPresent: outside.faults.diskNanoseconds == 0))
    }

    /// The number of the file that has this name.
    func number(of name: FileName) -> Int? {
        guard let number = Int(String(decoding: [UInt8](name.bytes), as: UTF8.self)),
            latest.indices.contains(number)
        else { return nil }
        return latest[number]
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
            let fails = outside.meets(perMille: outside.faults.diskErrorPerMille)
            let failure = StoreReply.refused(
                slot: slot, generation: generation, pending: pending, failure: .input)
            tell(
                fails ? failure : open(slot, generation, pending, name), in: delay, &outside)
        case .openUpload(let slot, let generation, let pending, _):
            let name = memory.pendings[Int(pending)].name.bytes
            let text = String(decoding: [UInt8](name), as: UTF8.self)
            guard !isFull(for: text, &outside) else {
                let failure = StoreReply.refused(
                    slot: slot, generation: generation, pending: pending, failure: .diskFull)
                return tell(failure, in: delay, &outside)
            }
            nextUpload += 1
            openUploads[nextUpload] = Upload(
                name: text, slot: slot, generation: generation)
            tell(
                .uploadOpened(
                    slot: slot, generation: generation, pending: pending, upload: nextUpload),
                in: delay, &outside)
        case .want(let slot, let generation, let image, let extent, _):
            let isSlow = outside.meets(perMille: outside.faults.slowExtentPerMille)
            let reply = want(slot, generation, Int(image.index), Int(extent), &outside)
            tell(reply, in: isSlow ? 100 * delay : delay, &outside)
        case .write(let upload, let chunk, let byteCount, let isLast):
            let bytes = UnsafeRawBufferPointer(start: memory.chunk(chunk), count: Int(byteCount))
            tell(.written(chunk: chunk), in: delay, &outside)
            openUploads[upload]?.received += bytes
            guard isLast else { return }
            let name = openUploads[upload]?.name ?? ""
            if isFull(for: name, &outside),
                let full = openUploads.removeValue(forKey: upload)
            {
                return tell(
                    .failed(slot: full.slot, generation: full.generation, failure: .diskFull),
                    in: delay, &outside)
            }
            outside.schedule(.commit(upload: upload, epoch: epoch), in: delay)
        case .abort(let upload):
            openUploads[upload] = nil
        case .ask(let slot, let generation, let pending):
            // The simulation has no keys.
            outside.checker.hostile.noteSealedAsked()
            tell(
                .refused(
                    slot: slot, generation: generation, pending: pending, failure: .forbidden),
                in: 1_000_000_000, &outside)
        case .giveUp: break
        }
    }

    /// Whether the disk is full now. A client tries a few times, so it is not full for ever.
    private mutating func isFull(for name: String, _ outside: inout Environment) -> Bool {
        guard outside.meets(perMille: outside.faults.diskFullPerMille),
            fullCounts[name, default: 0] < SimulatedDisk.fullCountMax
        else { return false }
        fullCounts[name, default: 0] += 1
        return true
    }

    private mutating func want(
        _ slot: UInt32, _ generation: UInt32, _ file: Int, _ extent: Int,
        _ outside: inout Environment
    ) -> StoreReply {
        let failure: StoreFailure? =
            files[file].isReplaced
            ? .changed : outside.meets(perMille: outside.faults.diskErrorPerMille) ? .input : nil
        if let failure { return .lost(slot: slot, generation: generation, failure: failure) }
        bring(extent, ofFile: file, &outside)
        return .ready(slot: slot, generation: generation)
    }

    private func tell(_ reply: StoreReply, in delay: UInt64, _ outside: inout Environment) {
        outside.schedule(.reply(reply, epoch: epoch), in: delay)
    }

    /// The upload is safe now: the store's reply to the server.
    mutating func commit(_ upload: UInt32, _ outside: inout Environment) -> StoreReply? {
        guard let kept = openUploads.removeValue(forKey: upload) else { return nil }
        outside.checker.noteCommit(kept.name, kept.received)
        return .committed(slot: kept.slot, generation: kept.generation)
    }

    /// The server that asked has ended.
    mutating func forget(_ reply: StoreReply) {
        switch reply {
        case .opened(_, _, _, let image): files[Int(image.index)].useCount -= 1
        case .uploadOpened(_, _, _, let upload): openUploads[upload] = nil
        default: break
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

extension [UInt8] {
    /// What a file has when one of other bytes has replaced it.
    var exchanged: [UInt8] { map { $0 ^ 0x5A } }

    /// What a file has when its end is cut off.
    var cutOff: [UInt8] { Array(prefix(count / 2)) }
}
