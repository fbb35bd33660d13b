internal import Glibc

/// The folders in which another root may appear at the path of the first one.
package enum RootSurroundings {
    /// Too much is below these for a wall that leaves them out.
    private static let shared: Set<String> = [
        "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root",
        "/run", "/sbin", "/sys", "/usr", "/usr/lib", "/usr/local", "/usr/share", "/var",
        "/var/cache", "/var/lib", "/var/local", "/var/log",
    ]
    /// And below these for folders further up.
    private static let broad: Set<String> = ["/media", "/mnt", "/srv", "/tmp", "/var/tmp"]
    private static let homes = "/home"
    /// How many folders above the one that holds the root are taken in, so that these may be
    /// replaced as well.
    private static let outerCountMax = 2
    /// As many as the kernel follows.
    private static let linksMax = 40

    /// The folder that holds `root`, those that hold the symbolic links on the path to it, and the
    /// two above, so that the links may be switched and the folders replaced; not those that hold a
    /// system's files. What is below another one is left out.
    package static func paths(of root: String) -> [String] {
        guard let way = Way(to: root) else { return [] }
        var all = way.linkFolders.filter { !shared.contains($0) }
        var folder = parent(of: way.end)
        if !shared.contains(folder) { all.append(folder) }
        for _ in 0..<outerCountMax {
            folder = parent(of: folder)
            guard !isBroad(folder) else { break }
            all.append(folder)
        }
        return all.reduce(into: []) { found, path in
            guard !found.contains(where: { isBelow(path, $0) }) else { return }
            found.removeAll { isBelow($0, path) }
            found.append(path)
        }
    }

    private static func isBroad(_ path: String) -> Bool {
        shared.contains(path) || broad.contains(path) || parent(of: path) == homes
    }

    /// Whether `path` is `other` or below it.
    private static func isBelow(_ path: String, _ other: String) -> Bool {
        path == other || path.hasPrefix(other + "/")
    }

    private static func parent(of path: String) -> String {
        "/" + path.split(separator: "/").dropLast().joined(separator: "/")
    }

    /// The way that the kernel takes along a path.
    private struct Way {
        /// Where it leads.
        var end = "/"
        /// The folders in which it meets symbolic links.
        var linkFolders: [String] = []

        init?(to path: String) {
            var rest = Array(path.split(separator: "/").reversed())
            if !path.hasPrefix("/") {
                guard let folder = unsafe getcwd(nil, 0) else { return nil }
                defer { unsafe free(folder) }
                end = unsafe String(cString: folder)
            }
            while let name = rest.popLast() {
                if name == "." { continue }
                if name == ".." {
                    end = RootSurroundings.parent(of: end)
                    continue
                }
                let here = end == "/" ? "/\(name)" : "\(end)/\(name)"
                guard let target = RootSurroundings.linkTarget(here) else {
                    end = here
                    continue
                }
                guard linkFolders.count < RootSurroundings.linksMax else { return nil }
                linkFolders.append(end)
                if target.hasPrefix("/") { end = "/" }
                rest += target.split(separator: "/").reversed()
            }
        }
    }

    /// Where a symbolic link leads; nil for anything else.
    private static func linkTarget(_ path: String) -> Substring? {
        let target = unsafe [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { room, count in
            let bytes = UnsafeMutableRawBufferPointer(room)
            count = unsafe max(
                0, readlink(path, bytes.bindMemory(to: CChar.self).baseAddress!, bytes.count))
        }
        return target.isEmpty ? nil : Substring(decoding: target, as: UTF8.self)
    }
}
