internal import CLinux
internal import SystemPackage
internal import TFTPStore

/// The folders that names may lead into: roots, and those that symbolic links may lead out to.
///
/// Each is open for as long as the server runs, and known by the path that the kernel has of it.
final class NameTrees: Sendable {
    struct Tree: Sendable {
        let directory: Int32
        /// Absolute and without symbolic links.
        let path: String

        var components: [[UInt8]] { path.utf8.split(separator: UInt8(ascii: "/")).map(Array.init) }
    }

    let trees: [Tree]
    /// The first `rootCount` folders are roots.
    let rootCount: Int

    /// Opens folders; the first root is open already, and stays its owner's.
    ///
    /// - Throws: the path that cannot be opened, and why.
    init(
        first: Int32, path: String, otherRoots: [String], followed: [String]
    ) throws(StartError) {
        var trees = [Tree(directory: first, path: NameTrees.path(of: first) ?? path)]
        for path in otherRoots + followed {
            let directory = unsafe clinux_open_root(path)
            guard directory >= 0 else {
                for tree in trees.dropFirst() { clinux_close(tree.directory) }
                throw .root(path, Errno(rawValue: -directory))
            }
            trees.append(Tree(directory: directory, path: NameTrees.path(of: directory) ?? path))
        }
        self.trees = trees
        rootCount = 1 + otherRoots.count
    }

    deinit {
        for tree in trees.dropFirst() { clinux_close(tree.directory) }
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
        for (index, tree) in trees.enumerated() {
            let own = tree.components
            guard components.starts(with: own) else { continue }
            let rest = Array(components.dropFirst(own.count))
            if best.map({ rest.count < $0.components.count }) ?? true { best = (index, rest) }
        }
        return best
    }
}
