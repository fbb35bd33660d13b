internal import Glibc

/// The path of the control socket.
enum ControlPath {
    static let system = "/run/bootstorm/control.sock"
    /// What an address of a Unix socket has room for, without the NUL.
    static let byteCountMax = 107

    /// Where to look without being told: the system's place where this process may use it, else the
    /// user's own.
    ///
    /// - Parameter isServer: the folder may be made, and has to be writable.
    static func usual(isServer: Bool) -> String? {
        if isServer {
            if mayWrite(folder: "/run/bootstorm") || makeFolder("/run/bootstorm") { return system }
        } else if unsafe access(system, F_OK) == 0 {
            return system
        }
        guard let folder = environment("XDG_RUNTIME_DIR"), folder.hasPrefix("/") else {
            return isServer ? nil : system
        }
        return "\(folder)/bootstorm-control.sock"
    }

    private static func mayWrite(folder: String) -> Bool { unsafe access(folder, W_OK | X_OK) == 0 }

    private static func makeFolder(_ path: String) -> Bool { unsafe mkdir(path, 0o755) == 0 }
}

/// What the environment says, or nil.
func environment(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
}
