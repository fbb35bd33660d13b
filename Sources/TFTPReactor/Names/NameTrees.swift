internal import CLinux
internal import Files
internal import Synchronization
internal import SystemPackage
internal import TFTPStore

/// The folders that names may lead into: roots, and those that symbolic links may lead out to.
///
/// Each is open for as long as the server runs, and known by the path that the kernel has of it.
/// The first root is followed where its path leads.
final class NameTrees: Sendable {
    private struct Tree: Sendable {
        let directory: Int32
        /// Absolute and without symbolic links.
        let path: String
    }

    /// The first tree.
    let root: ServedRoot
    /// The path that the kernel has of `root`: another one when `root` has become another folder.
    private let rootPath: Mutex<String>
    /// Whether `rootPath` is not what `root` is configured as.
    private let hasTwoPaths: Atomic<Bool>
    private let others: [Tree]
    /// The first `rootCount` folders are roots.
    let rootCount: Int

    /// Opens folders but the first root, which is open and stays its owner's.
    ///
    /// - Throws: the path that cannot be opened, and why.
    init(
        first: ServedRoot, otherRoots: [String], followed: [String]
    ) throws(StartError) {
        var trees: [Tree] = []
        for path in otherRoots + followed {
            let directory = unsafe clinux_open_root(path)
            guard directory >= 0 else {
                for tree in trees { clinux_close(tree.directory) }
                throw .root(path, Errno(rawValue: -directory))
            }
            trees.append(Tree(directory: directory, path: NameTrees.path(of: directory) ?? path))
        }
        root = first
        let path = NameTrees.path(of: first.descriptor) ?? first.path
        rootPath = Mutex(path)
        hasTwoPaths = Atomic(path != first.path)
        others = trees
        rootCount = 1 + otherRoots.count
    }

    deinit {
        for tree in others { clinux_close(tree.directory) }
    }

    /// The folder of a tree, for one call.
    func directory(of tree: Int) -> Int32 {
        tree == 0 ? root.descriptor : others[tree - 1].directory
    }

    /// The path that the kernel has of a tree: absolute, without symbolic links.
    func path(of tree: Int) -> String {
        tree == 0 ? rootPath.withLock { $0 } : others[tree - 1].path
    }

    /// Whether names may begin with a path of the root that is not the configured one.
    var rootHasTwoPaths: Bool { hasTwoPaths.load(ordering: .relaxed) }

    /// The rest of a name that begins with a path of the root; nil for any other.
    func droppingRootPath(_ name: FileName) -> FileName? {
        if let rest = name.dropping(prefix: root.path) { return rest }
        return rootHasTwoPaths ? name.dropping(prefix: path(of: 0)) : nil
    }

    /// The path of a tree that `name` begins with, as far as one has two: that which is configured
    /// and that which the kernel has.
    func path(of tree: Int, before name: [UInt8]) -> String {
        guard tree == 0, rootHasTwoPaths,
            let name = try? FileName(literal: unsafe name.span.bytes),
            name.dropping(prefix: root.path) != nil
        else { return path(of: tree) }
        return root.path
    }

    /// Another folder is the root by now.
    func noteRootChange() {
        let path = NameTrees.path(of: root.descriptor) ?? root.path
        rootPath.withLock { $0 = path }
        hasTwoPaths.store(path != root.path, ordering: .relaxed)
    }

    func components(of tree: Int) -> [[UInt8]] {
        path(of: tree).utf8.split(separator: UInt8(ascii: "/")).map(Array.init)
    }

    private static func path(of descriptor: Int32) -> String? {
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

    /// The tree that an absolute path lies in, and the components within it. The longest path
    /// counts.
    func place(_ components: [[UInt8]]) -> (tree: Int, components: [[UInt8]])? {
        var best: (tree: Int, components: [[UInt8]])?
        for index in 0...others.count {
            let own = self.components(of: index)
            guard components.starts(with: own) else { continue }
            let rest = Array(components.dropFirst(own.count))
            if best.map({ rest.count < $0.components.count }) ?? true { best = (index, rest) }
        }
        return best
    }
}
