internal import Glibc

/// The folders in which another root may appear at the path of the first one.
package enum RootSurroundings {
    /// Too much is below these for a wall that leaves them out.
    private static let shared: Set<String> = [
        "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root",
        "/run", "/sbin", "/sys", "/usr", "/usr/lib", "/usr/local", "/usr/share", "/var",
        "/var/cache", "/var/lib", "/var/local", "/var/log",
    ]

    /// The folder that holds `root`, and the one that holds what a symbolic link at `root` leads
    /// to; not those that hold a system's files.
    package static func paths(of root: String) -> [String] {
        var paths: [String] = []
        for path in [absolute(root), target(root)].compactMap({ $0 }) {
            let parent = parent(of: path)
            if let real = target(parent), !shared.contains(real), !paths.contains(real) {
                paths.append(real)
            }
        }
        return paths
    }

    private static func absolute(_ path: String) -> String? {
        if path.hasPrefix("/") { return path }
        return target(".").map { $0 + "/" + path }
    }

    private static func target(_ path: String) -> String? {
        guard let real = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(real) }
        return unsafe String(cString: real)
    }

    private static func parent(of path: String) -> String {
        let components = path.split(separator: "/").filter { $0 != "." }
        return "/" + components.dropLast().joined(separator: "/")
    }
}
