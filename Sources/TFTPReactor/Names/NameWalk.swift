internal import CLinux
internal import Glibc
internal import SystemPackage
internal import TFTPStore

/// Follows a name component by component, where the kernel alone would not get there: through
/// symbolic links that are absolute or lead into another tree, and through folders where the case
/// of letters does not matter.
///
/// What comes out is a path without symbolic links within one tree. It is opened without following
/// any, so a link that changes meanwhile leads nowhere.
struct NameWalk {
    /// Where the file is.
    struct Place: Equatable, Sendable {
        var tree: Int
        var name: FileName
    }

    enum Failure: Error, Equatable {
        case notFound
        /// A symbolic link, or a name with `..`, leads out of all trees.
        case outside
        /// A folder, a device, a pipe or a socket.
        case notRegular
        case failed(Int32)
    }

    private let trees: NameTrees
    /// For look-ups in any case of letters; nil for those in the case of the name.
    private let listings: FoldedListings?
    /// The name's own `..` at the root stays there, as in a server that has changed its root.
    private let staysInside: Bool
    /// A file that is not there is found as well, for an upload that makes it.
    private let findsNew: Bool
    /// The path ends in what is not there.
    private var isNew = false
    private var tree: Int
    private let firstTree: Int
    private var path: [[UInt8]] = []
    /// What is still to be followed, last component first.
    private var rest: [[UInt8]]
    /// How much of `rest` comes from links.
    private var linkedCount = 0
    private var linksLeft = 40
    private var stepsLeft = 512
    /// Whether an absolute link was taken for one from the root.
    private var tookRootForSlash = false

    init(
        _ trees: NameTrees, from tree: Int, _ name: FileName, anyCase listings: FoldedListings?,
        staysInside: Bool, findsNew: Bool = false
    ) {
        self.trees = trees
        self.listings = listings
        self.staysInside = staysInside
        self.findsNew = findsNew
        self.tree = tree
        firstTree = tree
        rest = NameWalk.components(name.byteArray).reversed()
    }

    private static let dot = [UInt8(ascii: ".")]
    private static let dotDot = Array("..".utf8)

    private static func components(_ path: [UInt8]) -> [[UInt8]] {
        path.split(separator: UInt8(ascii: "/")).map(Array.init)
    }

    /// Follows the name to a regular file.
    mutating func run() throws(Failure) -> Place {
        do throws(Failure) {
            return try follow()
        } catch .notFound where tookRootForSlash {
            // What the link means outside of all trees is not for clients.
            throw .outside
        }
    }

    private mutating func follow() throws(Failure) -> Place {
        var isRegular = false
        while let component = rest.popLast() {
            stepsLeft -= 1
            guard stepsLeft > 0 else { throw .failed(Errno.tooManySymbolicLinkLevels.rawValue) }
            let isLinked = linkedCount > 0
            if isLinked { linkedCount -= 1 }
            if component == NameWalk.dot { continue }
            if component == NameWalk.dotDot {
                try goUp(isLinked: isLinked)
                continue
            }
            isRegular = try step(component)
        }
        guard !path.isEmpty, isRegular || isNew else { throw .notRegular }
        let bytes = Array(path.joined(separator: [UInt8(ascii: "/")]))
        guard let name = try? FileName(literal: unsafe bytes.span.bytes) else { throw .notFound }
        return Place(tree: tree, name: name)
    }

    private mutating func goUp(isLinked: Bool) throws(Failure) {
        if !path.isEmpty {
            path.removeLast()
        } else if isLinked {
            // A relative link out of the tree: what it means, the path of the tree tells.
            let parent = trees.components(of: tree).dropLast()
            try place(parent + takeLinked(), isAbsolute: false)
        } else if !staysInside {
            throw .outside
        }
    }

    /// The rest of the link that is being followed, with `..` taken by the letter.
    private mutating func takeLinked() -> [[UInt8]] {
        let components = rest.suffix(linkedCount).reversed()
        rest.removeLast(linkedCount)
        linkedCount = 0
        return Array(components)
    }

    /// Goes on at an absolute path.
    private mutating func place(_ components: [[UInt8]], isAbsolute: Bool) throws(Failure) {
        var plain: [[UInt8]] = []
        for component in components {
            if component == NameWalk.dot { continue }
            if component == NameWalk.dotDot { _ = plain.popLast() } else { plain.append(component) }
        }
        path = []
        if let found = trees.place(plain) {
            tree = found.tree
            rest += found.components.reversed()
            linkedCount += found.components.count
        } else if isAbsolute {
            // As a server sees it that has made the root its `/`.
            tree = firstTree
            tookRootForSlash = true
            rest += plain.reversed()
            linkedCount += plain.count
        } else {
            throw .outside
        }
    }

    /// Takes one component; whether it is a regular file.
    private mutating func step(_ component: [UInt8]) throws(Failure) -> Bool {
        var name = component
        var descriptor = open(name)
        if descriptor == -Errno.noSuchFileOrDirectory.rawValue, let listings,
            let other = folded(component, listings)
        {
            name = other
            descriptor = open(name)
        }
        guard descriptor >= 0 else {
            let errno = Errno(rawValue: -descriptor)
            if errno == .noSuchFileOrDirectory, findsNew {
                try endNew(component)
                return false
            }
            if errno == .noSuchFileOrDirectory || errno == .notDirectory { throw .notFound }
            throw .failed(-descriptor)
        }
        defer { clinux_close(descriptor) }
        var status = clinux_status()
        guard unsafe clinux_status_of(descriptor, &status) == 0 else { throw .notFound }
        if status.is_regular || status.is_directory {
            path.append(name)
            return status.is_regular
        }
        guard
            let target = unsafe NameTrees.bytes({ buffer, count in
                unsafe clinux_link_target(descriptor, buffer, count)
            })
        else {
            path.append(name)
            return false
        }
        try follow(target)
        return false
    }

    /// Ends the path with a component that is not there, and those behind it. Folders that a link
    /// leads through have to be there, as for open(2).
    private mutating func endNew(_ component: [UInt8]) throws(Failure) {
        guard linkedCount == 0, !rest.contains(NameWalk.dotDot) else { throw .notFound }
        path.append(component)
        path += rest.reversed().filter { $0 != NameWalk.dot }
        rest = []
        isNew = true
    }

    private mutating func follow(_ target: [UInt8]) throws(Failure) {
        linksLeft -= 1
        guard linksLeft >= 0 else { throw .failed(Errno.tooManySymbolicLinkLevels.rawValue) }
        let components = NameWalk.components(target)
        guard target.first != UInt8(ascii: "/") else {
            return try place(components, isAbsolute: true)
        }
        rest += components.reversed()
        linkedCount += components.count
    }

    private func open(_ component: [UInt8]) -> Int32 {
        open(path + [component], clinux_flags_link())
    }

    private func open(_ components: [[UInt8]], _ flags: Int32) -> Int32 {
        let resolve = UInt64(CLINUX_RESOLVE_BENEATH | CLINUX_RESOLVE_NO_LINKS)
        return unsafe NameTrees.withPath(components) { path in
            unsafe clinux_open_beneath(trees.directory(of: tree), path, flags, 0, resolve)
        }
    }

    /// The entry of the present folder that differs in case only.
    private func folded(_ component: [UInt8], _ listings: FoldedListings) -> [UInt8]? {
        let directory = open(path, clinux_flags_list())
        guard directory >= 0 else { return nil }
        defer { clinux_close(directory) }
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        let now = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        return listings.entry(component, in: directory, now: now)
    }
}
