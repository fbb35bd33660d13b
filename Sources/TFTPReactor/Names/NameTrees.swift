internal import CLinux
internal import Files
internal import Synchronization
internal import SystemPackage
internal import TFTPStore

/// The first root, which is followed where its path leads, and the paths that names may have in
/// front.
final class NameRoot: Sendable {
    let served: ServedRoot
    private let published: PublishedNames
    /// The path that the kernel has of the root: another one when the root has become another
    /// folder.
    private let kernelPath: Mutex<String>

    init(_ served: ServedRoot, _ published: PublishedNames) {
        self.served = served
        self.published = published
        let path = NameTrees.path(of: served.descriptor) ?? served.path
        kernelPath = Mutex(path)
        published.setRootHasTwoPaths(path != served.path)
    }

    /// The path that the kernel has of the root: absolute, without symbolic links.
    var path: String { kernelPath.withLock { $0 } }

    /// The path that `name` begins with, as far as the root has two: that which is configured and
    /// that which the kernel has.
    func path(before name: [UInt8]) -> String {
        guard published.rootHasTwoPaths,
            let name = try? FileName(literal: unsafe name.span.bytes),
            name.dropping(prefix: served.path) != nil
        else { return path }
        return served.path
    }

    /// The rest of a name that begins with a path of the root; nil for any other.
    func droppingPath(_ name: FileName) -> FileName? {
        if let rest = published.droppingRootPath(name) { return rest }
        return published.rootHasTwoPaths ? name.dropping(prefix: path) : nil
    }

    /// Another folder is the root by now.
    func noteChange() {
        let path = NameTrees.path(of: served.descriptor) ?? served.path
        kernelPath.withLock { $0 = path }
        published.setRootHasTwoPaths(path != served.path)
    }
}

/// The folders that names may lead into: roots, and those that symbolic links may lead out to.
///
/// Each is open for as long as the server runs, and known by the path that the kernel has of it. A
/// reload adds folders behind those that were there before, so that the number of a folder stays
/// its own while requests and files are in use.
struct NameTrees: Sendable {
    private struct Tree: Sendable {
        let folder: OpenFolder
        /// Absolute and without symbolic links.
        let path: String
    }

    /// A descriptor, closed with the last tree that has it.
    private final class OpenFolder: Sendable {
        let descriptor: Int32

        init(_ descriptor: Int32) { self.descriptor = descriptor }

        deinit { clinux_close(descriptor) }
    }

    /// The first tree.
    let root: NameRoot
    private var others: [Tree] = []
    /// Those that the configuration has now: symbolic links lead into no others.
    private var current: [Int] = [0]

    /// Folders of one server, in all configurations that it has had.
    static let countMax = 1024

    init(_ root: NameRoot) { self.root = root }

    var count: Int { 1 + others.count }

    /// Makes these the folders besides the first root.
    ///
    /// - Returns: their numbers.
    /// - Throws: the path that cannot be opened, and why; nothing changes then.
    mutating func open(_ paths: [String]) throws(StartError) -> [Int] {
        var opened = self
        var numbers: [Int] = []
        for path in paths { numbers.append(try opened.open(path)) }
        opened.current = [0] + numbers
        self = opened
        return numbers
    }

    private mutating func open(_ path: String) throws(StartError) -> Int {
        let descriptor = unsafe clinux_open_root(path)
        guard descriptor >= 0 else { throw .root(path, Errno(rawValue: -descriptor)) }
        let folder = OpenFolder(descriptor)
        let kernelPath = NameTrees.path(of: descriptor) ?? path
        let known = others.firstIndex {
            $0.path == kernelPath && NameTrees.isSame($0.folder.descriptor, descriptor)
        }
        if let known { return known + 1 }
        guard count < NameTrees.countMax else { throw .root(path, .tooManyOpenFilesInSystem) }
        others.append(Tree(folder: folder, path: kernelPath))
        return others.count
    }

    private static func isSame(_ one: Int32, _ other: Int32) -> Bool {
        guard let first = try? status(ofOpen: one), let second = try? status(ofOpen: other) else {
            return false
        }
        return first.device == second.device && first.inode == second.inode
    }

    /// The folder of a tree, for one call.
    func directory(of tree: Int) -> Int32 {
        tree == 0 ? root.served.descriptor : others[tree - 1].folder.descriptor
    }

    /// The path that the kernel has of a tree: absolute, without symbolic links.
    func path(of tree: Int) -> String { tree == 0 ? root.path : others[tree - 1].path }

    /// The path of a tree that `name` may begin with.
    func path(of tree: Int, before name: [UInt8]) -> String {
        tree == 0 ? root.path(before: name) : path(of: tree)
    }

    func components(of tree: Int) -> [[UInt8]] {
        path(of: tree).utf8.split(separator: UInt8(ascii: "/")).map(Array.init)
    }

    /// The tree that an absolute path lies in, and the components within it. The longest path
    /// counts.
    func place(_ components: [[UInt8]]) -> (tree: Int, components: [[UInt8]])? {
        var best: (tree: Int, components: [[UInt8]])?
        for index in current {
            let own = self.components(of: index)
            guard components.starts(with: own) else { continue }
            let rest = Array(components.dropFirst(own.count))
            if best.map({ rest.count < $0.components.count }) ?? true { best = (index, rest) }
        }
        return best
    }
}

// MARK: Paths

extension NameTrees {
    static func path(of descriptor: Int32) -> String? {
        unsafe bytes { buffer, count in unsafe clinux_path_of(descriptor, buffer, count) }
            .map { String(decoding: $0, as: UTF8.self) }
    }

    /// What a call writes into a buffer of the size of a path.
    static func bytes(_ call: (UnsafeMutablePointer<CChar>, UInt32) -> Int32) -> [UInt8]? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = UInt32(buffer.count)
        let length = unsafe buffer.withUnsafeMutableBufferPointer { buffer in
            // The array is not empty, so it has a base address.
            unsafe call(buffer.baseAddress.unsafelyUnwrapped, count)
        }
        guard length >= 0 else { return nil }
        return buffer[..<Int(length)].map { UInt8(bitPattern: $0) }
    }

    /// Calls `body` with a path of these components, which the pointer has until it returns; `.`
    /// for none.
    static func withPath(
        _ components: [[UInt8]], _ body: (UnsafePointer<CChar>) -> Int32
    ) -> Int32 {
        var path = components.isEmpty ? [CChar(0x2E)] : []
        for component in components {
            if !path.isEmpty { path.append(CChar(0x2F)) }
            path += component.map { CChar(bitPattern: $0) }
        }
        path.append(0)
        return unsafe path.withUnsafeBufferPointer { buffer in
            // It ends with a NUL, so it is not empty.
            unsafe body(buffer.baseAddress.unsafelyUnwrapped)
        }
    }
}
