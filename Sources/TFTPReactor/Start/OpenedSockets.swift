internal import CLinux
internal import Files
internal import Synchronization
internal import SystemPackage
internal import TFTPCore

/// The folder and every socket of a server, opened: this may need privileges that the process drops
/// before it serves.
package final class OpenedSockets: Sendable {
    let root: Int32
    let sockets: [[ShardSocket]]
    /// Where requests are answered, with the true ports.
    let listening: [ListenAddress]
    /// Shards that read sockets of another process for all.
    let readerCount: Int
    /// Starts the threads that make rings; nil: any thread may.
    let starter = Mutex<ThreadStarter?>(nil)

    /// Opens everything, as the configuration says.
    package init(_ configuration: ReactorConfiguration) throws(StartError) {
        var configuration = configuration
        if configuration.listen.isEmpty && configuration.passedSockets.isEmpty {
            configuration.listen = [ListenAddress(address: .unspecified, port: 69)]
        }
        // Before the first socket: the soft limit is often 1024, for programs that use select(2).
        _ = clinux_raise_file_limit()
        clinux_raise_memory_lock_limit()
        let cpuCount = OpenedSockets.allowedCPUs().count
        let shardCount = min(configuration.shardCount ?? cpuCount, ReactorConfiguration.shardsMax)
        try OpenedSockets.checkAddressSpace(configuration, shardCount: shardCount)
        let root = try OpenedSockets.openRoot(configuration.root)
        var opener = SocketOpener(configuration: configuration, shardCount: shardCount)
        do throws(StartError) {
            try opener.openAll()
        } catch {
            opener.closeAll()
            clinux_close(root)
            throw error
        }
        self.root = root
        sockets = opener.sockets
        listening = opener.listening
        readerCount = opener.readerCount
    }

    /// Addresses that are listened on but that no interface has yet.
    package var absentAddresses: [String] {
        let here = OpenedSockets.interfaceAddresses()
        return listening.map(\.address).filter {
            !$0.isUnspecified && !$0.isLoopback && !here.contains($0)
        }.map { "\($0)" }
    }

    private static let interfacesMax = 256

    private static func interfaceAddresses() -> Set<Address> {
        var room = [clinux_interface](repeating: clinux_interface(), count: interfacesMax)
        let count = unsafe room.withUnsafeMutableBufferPointer { buffer in
            unsafe clinux_interfaces(buffer.baseAddress, UInt32(buffer.count))
        }
        return Set(room.prefix(max(0, Int(count))).map { Address($0.address) })
    }

    var shardCount: Int { sockets.count }

    /// Those of the store and of the names, and the one that starts them.
    private static let fixedThreadCount = 3

    /// Makes sure that the threads of the server and `othersCount` more can be started. Only those
    /// that make rings keep the capability to lock memory, until they have made them.
    package func prepareThreads(othersCount: Int) throws(StartError) {
        try RunningThread.rehearse(
            shardCount + OpenedSockets.fixedThreadCount + othersCount)
        let new = try ThreadStarter()
        starter.withLock { $0 = new }
        clinux_end_locking_memory()
    }

    /// Closes the sockets, but for listeners of the shards that have closed theirs. The folder is
    /// its user's.
    func close(except hasLeft: (Int) -> Bool) {
        for (shard, all) in sockets.enumerated() {
            let listenersAreClosed = hasLeft(shard)
            for socket in all where !(socket.role == .listener && listenersAreClosed) {
                clinux_close(socket.file)
            }
        }
    }

    /// Stack, receive buffers, chunks of uploads and tables of a shard; and what the rest of the
    /// program uses.
    private static let shardByteCount = 48 << 20
    private static let otherByteCount = 128 << 20

    /// A thread or a table that finds no room would end the process without a word, or not begin at
    /// all.
    private static func checkAddressSpace(
        _ configuration: ReactorConfiguration, shardCount: Int
    ) throws(StartError) {
        let byteCount =
            configuration.cacheByteCount + shardCount * shardByteCount + otherByteCount
        guard clinux_has_address_space(UInt64(byteCount)) else { throw .memory(byteCount) }
    }

    private static func openRoot(_ path: String) throws(StartError) -> Int32 {
        let root = unsafe path.withCString { unsafe clinux_open_root($0) }
        guard root >= 0 else { throw .root(path, Errno(rawValue: -root)) }
        do throws(Errno) {
            clinux_close(try RootedFolder(root).open(nil, clinux_flags_path()))
        } catch {
            // The folder's own trouble is found when it is served.
            guard error == .noFunction || error == .notPermitted else { return root }
            clinux_close(root)
            throw .openat2(error)
        }
        return root
    }

    /// The cores that this process may use.
    package static func allowedCPUs() -> [Int32] {
        var all = [Int32](repeating: 0, count: ReactorConfiguration.shardsMax)
        let count = unsafe all.withUnsafeMutableBufferPointer { buffer in
            unsafe clinux_cpus(buffer.baseAddress, UInt32(buffer.count))
        }
        return count > 0 ? Array(all.prefix(Int(count))) : [0]
    }
}
