internal import CLinux
internal import Files
internal import Synchronization
internal import SystemPackage
package import TFTPCore
internal import TFTPServing
package import TFTPStore

/// A snapshot that is served: its folder, locked against removal until the last one who uses it
/// lets go.
package final class ServedSnapshot: Sendable {
    package let name: String
    let directory: Int32
    fileprivate let key: Key

    /// A folder is known by this as long as it is open.
    fileprivate struct Key: Equatable {
        var device: UInt64
        var inode: UInt64

        init?(_ descriptor: Int32) {
            var status = clinux_status()
            guard unsafe clinux_status_of(descriptor, &status) == 0 else { return nil }
            (device, inode) = (status.device, status.inode)
        }
    }

    fileprivate init(name: String, directory: Int32, key: Key) {
        self.name = name
        self.directory = directory
        self.key = key
    }

    deinit { clinux_close(directory) }
}

/// Where the files of a request are, in a tree of snapshots.
package struct SnapshotPlace: Sendable {
    package let snapshot: ServedSnapshot
    /// How much of the requested name says which snapshot is meant.
    package let prefixByteCount: Int
}

/// The snapshots of a served tree, and who boots from which.
///
/// The store thread asks it about every request, and tasks about those that were sealed; a lock
/// keeps them apart, which no shard ever touches. What happens under it are looks at two folders.
/// Names are resolved beneath the folder of one snapshot, so no symbolic link leads from one into
/// another.
package final class SnapshotTree: Sendable {
    private struct State: ~Copyable {
        var holds: SnapshotLeases
        /// By the numbers that `holds` has of them.
        var open: [ServedSnapshot?] = []
    }

    private let root: ServedRoot
    private let state: Mutex<State>

    /// Addresses that are held at once: 6 MiB.
    static let holdsMax = 1 << 16
    /// Snapshots that are held at once.
    static let snapshotsMax = 256
    /// `current` may be switched while it is followed, but not so often.
    private static let triesMax = 8
    private static let targetByteCountMax = 256

    /// - Parameters:
    ///   - root: the folder that is served, which stays open as long as the tree is used.
    ///   - holdNanoseconds: how long a client may be silent before it gets another snapshot.
    /// - Throws: where there is no snapshot that `current` leads to.
    init(
        root: ServedRoot, holdNanoseconds: UInt64, holdsMax: Int = SnapshotTree.holdsMax
    ) throws(StoreFailure) {
        self.root = root
        let holds = SnapshotLeases(
            nanoseconds: holdNanoseconds, capacity: holdsMax,
            snapshotsMax: SnapshotTree.snapshotsMax)
        state = Mutex(State(holds: holds))
        _ = try SnapshotTree.openCurrent(beneath: root.descriptor)
    }

    /// Where `address` finds `name`. It holds that snapshot from now on, unless the name says which
    /// one is meant, or is one that nodes ask each other for.
    ///
    /// - Throws: `notFound` where the name says a snapshot that is not here.
    package func place(
        _ name: FileName, for address: Address
    ) throws(StoreFailure) -> SnapshotPlace {
        switch SnapshotChoice(name) {
        case .held:
            SnapshotPlace(snapshot: try held(by: address), prefixByteCount: 0)
        case .current:
            SnapshotPlace(
                snapshot: try SnapshotTree.openCurrent(beneath: root.descriptor), prefixByteCount: 0
            )
        case .named(let snapshot, let byteCount):
            SnapshotPlace(
                snapshot: try SnapshotTree.open(snapshot, beneath: root.descriptor),
                prefixByteCount: byteCount)
        }
    }

    private func held(by address: Address) throws(StoreFailure) -> ServedSnapshot {
        try state.withLock { (state) throws(StoreFailure) in
            // Read under the lock, so that it never goes back.
            let now = clinux_now()
            if let number = state.holds.renew(address, now: now),
                let snapshot = state.open[number]
            {
                return snapshot
            }
            let number = try currentNumber(&state)
            state.holds.take(number, for: address, now: now)
            guard let snapshot = state.open[number] else { throw .input }
            return snapshot
        }
    }

    /// The number of the current snapshot, which gets one if it has none.
    private func currentNumber(_ state: inout State) throws(StoreFailure) -> Int {
        SnapshotTree.letGo(&state)
        let look = unsafe clinux_open_beneath(
            root.descriptor, SnapshotLayout.current, clinux_flags_directory(), 0,
            UInt64(CLINUX_RESOLVE_BENEATH))
        guard look >= 0 else { throw SnapshotTree.failure(-look) }
        defer { clinux_close(look) }
        if let key = ServedSnapshot.Key(look),
            let number = state.open.firstIndex(where: { $0?.key == key })
        {
            return number
        }
        let snapshot = try SnapshotTree.openCurrent(beneath: root.descriptor)
        // It may have been switched back meanwhile.
        if let number = state.open.firstIndex(where: { $0?.key == snapshot.key }) { return number }
        if let number = state.open.firstIndex(where: { $0 == nil }) {
            state.open[number] = snapshot
            return number
        }
        guard state.open.count < SnapshotTree.snapshotsMax else { throw .busy }
        state.open.append(snapshot)
        return state.open.count - 1
    }

    /// Releases snapshots without a lease. Called now and then.
    func sweep() {
        state.withLock { state in
            state.holds.expire(now: clinux_now(), max: SnapshotTree.holdsMax)
            SnapshotTree.letGo(&state)
        }
    }

    private static func letGo(_ state: inout State) {
        for number in state.open.indices where state.holds.holderCount(of: number) == 0 {
            state.open[number] = nil
        }
    }

    // MARK: Opening

    private static func openCurrent(beneath root: Int32) throws(StoreFailure) -> ServedSnapshot {
        for _ in 0..<triesMax {
            let name = try currentName(beneath: root)
            do throws(StoreFailure) {
                return try open(name, beneath: root)
            } catch .notFound {
                // It has been removed since the link was read, so the link leads elsewhere by now.
            }
        }
        throw .input
    }

    /// The name of the current snapshot.
    ///
    /// - Throws: where the link leads to none, or there is no link.
    static func currentName(beneath root: Int32) throws(StoreFailure) -> String {
        let target = try unsafe [UInt8](unsafeUninitializedCapacity: targetByteCountMax) {
            (buffer, count) throws(StoreFailure) in
            // The buffer has as much room as it says.
            let result = unsafe buffer.withMemoryRebound(to: CChar.self) {
                unsafe clinux_read_link(
                    root, SnapshotLayout.current, $0.baseAddress, UInt32($0.count))
            }
            guard result >= 0 else { throw failure(-result) }
            count = Int(result)
        }
        let text = String(decoding: target, as: UTF8.self)
        guard let name = SnapshotLayout.name(linked: text) else { throw .input }
        return name
    }

    private static func open(
        _ name: String, beneath root: Int32
    ) throws(StoreFailure) -> ServedSnapshot {
        guard SnapshotLayout.isName(name) else { throw .notFound }
        let path = "\(SnapshotLayout.sets)/\(name)"
        let resolve = UInt64(CLINUX_RESOLVE_BENEATH)
        let directory = unsafe clinux_open_beneath(root, path, clinux_flags_list(), 0, resolve)
        guard directory >= 0 else { throw StoreFailure(Errno(rawValue: -directory)) }
        // A file system that has no locks has none for who removes snapshots either.
        let isRemoved = Errno(rawValue: -clinux_lock_shared(directory)) == .wouldBlock
        let again = unsafe clinux_open_beneath(root, path, clinux_flags_directory(), 0, resolve)
        defer { if again >= 0 { clinux_close(again) } }
        // A snapshot is renamed under a lock before it is removed; so one that has it still,
        // and is locked, stays.
        guard !isRemoved, again >= 0, let key = ServedSnapshot.Key(directory),
            key == ServedSnapshot.Key(again)
        else {
            clinux_close(directory)
            throw .notFound
        }
        return ServedSnapshot(name: name, directory: directory, key: key)
    }

    /// Where `current` leads to no snapshot there is something wrong with the tree, not with the
    /// name that was asked for: a boot loader that hears of no file goes on to another one.
    private static func failure(_ errno: Int32) -> StoreFailure {
        StoreFailure(Errno(rawValue: errno)) == .busy ? .busy : .input
    }
}
