internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPCore
internal import TFTPStore
internal import Uring

/// What the store has asked of its ring: a number for each request that has not completed, what it
/// is for, and the memory that the kernel reads of it until then.
@safe
struct StoreRing: ~Copyable {
    static let operationsMax = 512
    /// Operations that requests of clients leave free for reads, writes and second tries.
    static let operationsReserved = 128
    private static let openHowByteCount = 32
    private static let openByteCount = openHowByteCount + FileName.capacity
    private static let bellTag = UInt64.max

    private var ring: Ring
    private var operations: [StoreOperation]
    private var free: [Int]
    /// Numbers that the ring knows nothing of.
    private var heldCount = 0
    /// The name each operation opens, and in raw memory what the kernel reads of it: 32 bytes of
    /// flags, then the path with its NUL.
    private var names: [FileName?]
    private let memory: UnsafeMutableRawPointer
    /// An eventfd that others ring.
    private let bell: Int32

    init(bell: Int32) throws(Errno) {
        self.bell = bell
        ring = try Ring(entries: 512, completions: 2048, uses: .files)
        operations = Array(repeating: .none, count: StoreRing.operationsMax)
        free = Array((0..<StoreRing.operationsMax).reversed())
        names = Array(repeating: nil, count: StoreRing.operationsMax)
        unsafe memory = .allocate(
            byteCount: StoreRing.operationsMax * StoreRing.openByteCount, alignment: 8)
    }

    deinit { unsafe memory.deallocate() }

    /// How many operations may still begin.
    var freeCount: Int { free.count }

    /// How many of them requests of clients may take.
    var freeCountForRequests: Int { max(0, free.count - StoreRing.operationsReserved) }

    /// Whether the ring has nothing left to do.
    var isIdle: Bool { free.count + heldCount == StoreRing.operationsMax }

    // MARK: Completions

    mutating func awaitBell() { _ = ring.queuePoll(file: bell, userData: StoreRing.bellTag) }

    /// Waits for a completion, so long at most, and returns how many there are.
    mutating func wait(nanoseconds: UInt64) throws(Errno) -> Int {
        _ = try ring.enter(waitingFor: 1, nanoseconds: nanoseconds)
        return ring.drain()
    }

    /// The operation that completion `index` ends, with its number and result; nil for the bell.
    mutating func takeCompletion(
        _ index: Int
    ) -> (operation: StoreOperation, number: Int, result: Int32)? {
        let completion = ring.completion(index)
        guard completion.userData != StoreRing.bellTag else {
            clinux_eventfd_clear(bell)
            if !completion.hasMore { awaitBell() }
            return nil
        }
        let number = Int(completion.userData)
        let operation = operations[number]
        operations[number] = .none
        free.append(number)
        return (operation, number, completion.result)
    }

    mutating func cancelAll() { ring.cancelAll() }

    // MARK: Operations

    /// Takes a number for `operation`, lets `queue` put it on the ring, and returns it.
    @discardableResult
    mutating func start(
        _ operation: StoreOperation, _ queue: (inout Ring, UInt64, Int) -> Bool
    ) -> Int {
        let number = takeNumber()
        operations[number] = operation
        if queue(&ring, UInt64(number), number) { return number }
        // The submission queue is full: hand it over and try once more.
        _ = try? ring.enter(waitingFor: 0, nanoseconds: 0)
        let isQueued = queue(&ring, UInt64(number), number)
        precondition(isQueued, "an enter empties the submission queue")
        return number
    }

    /// Opens `name`, which stays below `directory`.
    mutating func startOpen(
        _ operation: StoreOperation, directory: Int32, _ name: FileName, flags: Int32
    ) {
        let memory = unsafe memory
        let started = start(operation) { ring, tag, number in
            let how = unsafe memory + number * StoreRing.openByteCount
            let path = unsafe how + StoreRing.openHowByteCount
            unsafe name.withUnsafeCString { name in
                unsafe path.copyMemory(from: name, byteCount: FileName.capacity)
            }
            return unsafe ring.queueOpen(
                directory: directory, path: path.assumingMemoryBound(to: CChar.self), flags: flags,
                resolve: UInt64(CLINUX_RESOLVE_BENEATH), storage: how, userData: tag)
        }
        names[started] = name
    }

    /// Opens the folder at the path of `root`, which may take long.
    mutating func startLook(at root: ServedRoot) {
        start(.lookAtRoot) { [memory = unsafe memory] ring, tag, number in
            let how = unsafe memory + number * StoreRing.openByteCount
            return unsafe root.withPath { path in
                unsafe ring.queueOpen(
                    directory: -1, path: path, flags: clinux_flags_directory(), resolve: 0,
                    storage: how, userData: tag)
            }
        }
    }

    /// What the operation with this number opened last.
    func name(of number: Int) -> FileName? { names[number] }

    /// Takes a number for something that the ring knows nothing of, until `give`.
    mutating func hold() -> Int {
        heldCount += 1
        return takeNumber()
    }

    mutating func give(_ number: Int) {
        assert(heldCount > 0)
        heldCount -= 1
        free.append(number)
    }

    private mutating func takeNumber() -> Int {
        guard let number = free.popLast() else {
            preconditionFailure("requests leave \(StoreRing.operationsReserved) operations free")
        }
        return number
    }
}

/// A request to the ring that has not completed.
enum StoreOperation {
    case none
    /// Looking at what a name stands for.
    case look(OpenRequest)
    /// Opening it to be read; it was a regular file a moment ago.
    case open(OpenRequest, FileName)
    case reopen(ImageID)
    case lookAtRoot
    case read(ImageCache.ReadOrder)
    case write(WriteOrder)
    case writeBack
    case copyRead(FileCopy)
    case copyWrite(FileCopy)
    /// Of a backup's file, or its folder, before the copy overwrites the old content.
    case syncBackup(FileCopy, folder: Int32?)
    case sync(UInt32)
    case syncFolder(InodeIdentity)
}

/// A client's request for what a name stands for.
struct OpenRequest {
    var shard: Int
    var slot: UInt32
    var generation: UInt32
    var pending: UInt32
    /// Whether the name is being tried without the junk at its end.
    var isStripped = false
    /// Whether a handler has been asked.
    var isAsked = false
    /// Whether it is settled what the name means, and the folder that it is looked for in.
    var isResolved = false
    var tree = 0
    /// Where there are snapshots, what it is for.
    var place: SnapshotPlace?

    var client: StoreClient {
        StoreClient(shard: shard, slot: slot, generation: generation, pending: pending)
    }
}

/// A chunk of an upload that is written to its file.
struct WriteOrder {
    var upload: UInt32
    var shard: Int
    var chunk: UInt32
    var fileOffset: UInt64
    var byteCount: Int
    var doneByteCount = 0
}
