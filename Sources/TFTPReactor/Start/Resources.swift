internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPCore
internal import TFTPServing
internal import TFTPStore

/// The memory that lives as long as the server and that all threads see.
@safe
struct Resources: @unchecked Sendable {
    let arena: UnsafeMutableRawPointer
    let arenaByteCount: Int
    let imageIndex: ImageIndex
    let root: ServedRoot
    /// Where the root is a tree of snapshots.
    let snapshots: SnapshotTree?
    let rootIsLocal: Bool
    let names: NameResolver
    private let publishedNames: PublishedNames
    let nameMemories: [NameMemory]
    private let headers = BlockHeaders()
    private let interfaces: UnsafeMutableBufferPointer<clinux_interface>
    private let own: OwnEndpoints

    /// An image for each of the smallest blocks, 65,536 at most: their table takes 300 bytes each.
    private static func imagesMax(_ arenaByteCount: Int) -> Int {
        min(65_536, arenaByteCount >> 12)
    }
    private static let interfacesMax = 256

    init(
        configuration: ReactorConfiguration, root: Int32, sockets: [[ShardSocket]],
        storeWakeup: Int32, pendingsMax: Int
    ) throws(StartError) {
        // A whole number of huge pages.
        arenaByteCount = (configuration.cacheByteCount + (2 << 20) - 1) & ~((2 << 20) - 1)
        guard let arena = unsafe clinux_map(UInt64(arenaByteCount), true) else {
            throw .memory(configuration.cacheByteCount)
        }
        unsafe self.arena = arena
        do throws(Errno) {
            self.root = try ServedRoot(configuration.root, descriptor: root)
        } catch {
            throw .root(configuration.root, error)
        }
        snapshots = try Resources.openSnapshots(configuration, self.root)
        publishedNames = PublishedNames(rootPath: self.root.path)
        names = try NameResolver(
            configuration, root: self.root, publishedNames, wakesStore: storeWakeup)
        nameMemories = sockets.map { _ in NameMemory(pendingsMax: pendingsMax) }
        rootIsLocal = clinux_is_local(root)
        imageIndex = unsafe ImageIndex(
            arena: UnsafeRawPointer(arena), imagesMax: Resources.imagesMax(arenaByteCount))
        unsafe interfaces = Resources.findInterfaces()
        let addresses = unsafe interfaces.map { Address($0.address) }
        own = OwnEndpoints(
            sockets.joined().map {
                OwnEndpoints.Entry(port: $0.port, address: $0.tellsLocal ? nil : $0.address)
            }, addresses: addresses)
    }

    var shared: SharedResources {
        SharedResources(
            imageIndex: imageIndex, root: root, rootIsLocal: rootIsLocal, headers: headers,
            own: own, names: publishedNames, nameMemories: nameMemories)
    }

    func destroy() {
        imageIndex.destroy()
        for memory in nameMemories { memory.destroy() }
        publishedNames.destroy()
        unsafe clinux_unmap(arena, UInt64(arenaByteCount))
        root.destroy()
        headers.destroy()
        unsafe interfaces.deallocate()
        own.destroy()
    }

    private static func openSnapshots(
        _ configuration: ReactorConfiguration, _ root: ServedRoot
    ) throws(StartError) -> SnapshotTree? {
        guard let nanoseconds = configuration.snapshotHoldNanoseconds else { return nil }
        do throws(StoreFailure) {
            return try SnapshotTree(root: root, holdNanoseconds: nanoseconds)
        } catch {
            throw .snapshots(configuration.root)
        }
    }

    private static func findInterfaces() -> UnsafeMutableBufferPointer<clinux_interface> {
        let room = UnsafeMutableBufferPointer<clinux_interface>.allocate(capacity: interfacesMax)
        unsafe room.initialize(repeating: clinux_interface())
        let count = unsafe clinux_interfaces(room.baseAddress, UInt32(interfacesMax))
        return unsafe UnsafeMutableBufferPointer(start: room.baseAddress, count: max(0, Int(count)))
    }
}
