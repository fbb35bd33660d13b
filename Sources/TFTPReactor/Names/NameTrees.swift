internal import CLinux
internal import TFTPStore

/// The folders that names may lead into: roots, and those that symbolic links may lead out to.
///
/// Each is open for as long as the server runs, and known by the path that the kernel has of it. A
/// reload adds folders behind those that were there before, so that the number of a folder stays
/// its own while requests are under way.
struct NameTrees: Sendable {
    struct Tree: Sendable {
        fileprivate let folder: OpenFolder
        /// Absolute and without symbolic links.
        let path: String

        var directory: Int32 { folder.descriptor }
        var components: [[UInt8]] { path.utf8.split(separator: UInt8(ascii: "/")).map(Array.init) }
    }

    /// A descriptor, closed with the last tree that has it unless it is another's.
    fileprivate final class OpenFolder: Sendable {
        let descriptor: Int32
        private let isOwn: Bool

        init(_ descriptor: Int32, isOwn: Bool) {
            self.descriptor = descriptor
            self.isOwn = isOwn
        }

        deinit { if isOwn { clinux_close(descriptor) } }
    }

    private(set) var trees: [Tree]
    /// Those that the configuration has now: symbolic links lead into no others.
    private var current: [Int] = [0]

    /// Folders of one server, in all configurations that it has had.
    static let countMax = 1024

    /// The first root alone, which is open already, and stays its owner's.
    init(first: Int32, path: String) {
        let path = NameTrees.path(of: first) ?? path
        trees = [Tree(folder: OpenFolder(first, isOwn: false), path: path)]
    }

    /// Makes these the folders besides the first root.
    ///
    /// - Returns: their numbers.
    /// - Throws: the path that can not be opened, and why.
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
        guard descriptor >= 0 else { throw .root(path, errno: -descriptor) }
        let folder = OpenFolder(descriptor, isOwn: true)
        let kernelPath = NameTrees.path(of: descriptor) ?? path
        let known = trees.indices.dropFirst().first {
            trees[$0].path == kernelPath
                && NameTrees.isSame(trees[$0].directory, descriptor)
        }
        if let known { return known }
        // ENFILE.
        guard trees.count < NameTrees.countMax else { throw .root(path, errno: 23) }
        trees.append(Tree(folder: folder, path: kernelPath))
        return trees.count - 1
    }

    private static func isSame(_ one: Int32, _ other: Int32) -> Bool {
        var (first, second) = (clinux_status(), clinux_status())
        guard unsafe clinux_status_of(one, &first) == 0,
            unsafe clinux_status_of(other, &second) == 0
        else { return false }
        return first.device == second.device && first.inode == second.inode
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
        for index in current {
            let own = trees[index].components
            guard components.starts(with: own) else { continue }
            let rest = Array(components.dropFirst(own.count))
            if best.map({ rest.count < $0.components.count }) ?? true { best = (index, rest) }
        }
        return best
    }
}

/// The descriptors of all folders by number, which shards read without a lock: a number comes to
/// them in an answer that was given after the folder was entered here.
///
/// @unchecked Sendable: an entry is written once, before any thread has its number.
@safe
struct NameDirectories: @unchecked Sendable {
    private let entries: UnsafeMutablePointer<Int32>

    init() {
        unsafe entries = .allocate(capacity: NameTrees.countMax)
        unsafe entries.initialize(repeating: -1, count: NameTrees.countMax)
    }

    func destroy() { unsafe entries.deallocate() }

    subscript(tree: Int) -> Int32 {
        assert(tree >= 0 && tree < NameTrees.countMax)
        return unsafe entries[tree]
    }

    /// Enters what is new.
    func note(_ trees: NameTrees) {
        for (number, tree) in trees.trees.enumerated() where self[number] != tree.directory {
            // In bounds: there are no more trees than entries.
            unsafe entries[number] = tree.directory
        }
    }
}
