internal import CSandbox
internal import Glibc

/// What a process needs after it has given up everything else.
package struct SandboxPlan: Sendable {
    /// A folder that is served.
    package struct Root: Sendable {
        package var path: String
        /// Whether files are written there.
        package var writes: Bool
        /// Whether the server goes on with another folder that takes its place at `path`.
        package var isFollowed: Bool
        /// Whether the server starts although its user may write only below the folder, if at all.
        package var mayBeClosed: Bool

        package init(
            path: String, writes: Bool, isFollowed: Bool = false, mayBeClosed: Bool = false
        ) {
            self.path = path
            self.writes = writes
            self.isFollowed = isFollowed
            self.mayBeClosed = mayBeClosed
        }
    }

    /// The user to become when started as root; nil: `bootstorm`, or else `nobody`.
    package var user: String?
    package var roots: [Root] = []
    /// More files and folders to read, such as those of the configuration. One that does not exist
    /// is left out.
    package var readablePaths: [String] = []
    /// Folders in which files and sockets are made, such as that of a control socket.
    package var writablePaths: [String] = []
    /// The memory has keys in it.
    package var hasSecrets = false
    /// Names of hosts are looked up, and TLS certificates checked.
    package var usesResolver = false

    package init() {}
}

/// Why a process does not go on without its privileges.
package enum SandboxError: Error, Equatable, Sendable {
    case noSuchUser(String)
    /// Only root can become another user.
    case needsRoot(user: String)
    /// The user that was asked for may not use this folder.
    case unusable(path: String, user: String, writes: Bool)
    case cannotOpen(path: String, errno: Int32)
    /// The kernel refused a step that must not fail.
    case refused(step: String, errno: Int32)
}

/// The walls that stand.
package struct SandboxReport: Equatable, Sendable {
    /// The user that the process has become; nil: it was not root, and has not changed its user.
    package var user: String?
    /// Not nil: files are accessed as this user, the owner of this folder, because the other user
    /// lacks access to it.
    package var filesOwner: (uid: UInt32, path: String)?
    /// The folders in which the user that was asked for may make no files, although some are to be
    /// written there.
    package var closedFolders: [String] = []
    /// 0: the kernel has none.
    package var landlockVersion = 0
    package var hasSeccomp = false

    package static func == (one: SandboxReport, other: SandboxReport) -> Bool {
        one.user == other.user && one.filesOwner?.uid == other.filesOwner?.uid
            && one.filesOwner?.path == other.filesOwner?.path
            && one.closedFolders == other.closedFolders
            && one.landlockVersion == other.landlockVersion && one.hasSeccomp == other.hasSeccomp
    }
}

/// Gives up what the process does not need, for good. Called while it has one thread.
package struct Sandbox: ~Copyable {
    private let plan: SandboxPlan
    private var report = SandboxReport()
    private var paths: [csandbox_path] = []

    private init(_ plan: SandboxPlan) { self.plan = plan }

    /// Raises the walls.
    ///
    /// Landlock and seccomp are left out where the kernel has none; nothing else is.
    package static func enter(_ plan: SandboxPlan) throws(SandboxError) -> SandboxReport {
        var sandbox = Sandbox(plan)
        // Folders are opened before the user changes: the new user may lack access to their paths.
        try sandbox.openPaths()
        defer { sandbox.closePaths() }
        try sandbox.changeUser()
        try sandbox.hideMemory()
        try check("no_new_privs", csandbox_no_new_privileges())
        try sandbox.restrictFiles()
        try sandbox.restrictCalls()
        return sandbox.report
    }

    // MARK: The user

    /// The user that `enter` becomes; nil where it stays who it is, or fails.
    package static func user(of plan: SandboxPlan) -> (uid: UInt32, gid: UInt32)? {
        guard geteuid() == 0, let user = try? Sandbox(plan).findUser() else { return nil }
        return (user.uid, user.gid)
    }

    private mutating func changeUser() throws(SandboxError) {
        guard geteuid() == 0 else {
            try checkSameUser()
            return try Sandbox.check("capset", csandbox_drop_capabilities())
        }
        let user = try findUser()
        let groups = unsafe withUnsafePointer(to: user) { unsafe csandbox_take_groups($0) }
        if groups == -EPERM && plan.user == nil {
            // Root that may not change its user, as in some containers, can only drop its
            // capabilities.
            return try Sandbox.check("capset", csandbox_drop_capabilities())
        }
        try Sandbox.check("setgroups", groups)
        let files = try filesUser(replacing: user)
        let result = unsafe withUnsafePointer(to: user) {
            unsafe csandbox_become($0, files.uid, files.gid)
        }
        try Sandbox.check("setuid", result)
        report.user = Sandbox.name(of: user)
    }

    private func checkSameUser() throws(SandboxError) {
        guard let name = plan.user else { return }
        var user = csandbox_user()
        guard unsafe csandbox_find_user(name, &user) == 0 else { throw .noSuchUser(name) }
        guard user.uid == geteuid() else { throw .needsRoot(user: name) }
    }

    private static let defaultUsers = ["bootstorm", "nobody"]
    /// Number of `nobody` on Linux, for systems without a list of users.
    private static let nobodyNumber = "65534"

    private func findUser() throws(SandboxError) -> csandbox_user {
        var user = csandbox_user()
        if let name = plan.user {
            guard unsafe csandbox_find_user(name, &user) == 0 else { throw .noSuchUser(name) }
            return user
        }
        for name in Sandbox.defaultUsers + [Sandbox.nobodyNumber] {
            if unsafe csandbox_find_user(name, &user) == 0 { return user }
        }
        throw .noSuchUser(Sandbox.nobodyNumber)
    }

    /// Whose files may be used: the user's own, or where that is not enough and no user was asked
    /// for, those of the owner of the first folder that the user may not use. No capability comes
    /// with that.
    private mutating func filesUser(
        replacing user: csandbox_user
    ) throws(SandboxError) -> (uid: UInt32, gid: UInt32) {
        for (root, path) in zip(plan.roots, paths) {
            let mayUse = unsafe withUnsafePointer(to: user) {
                unsafe csandbox_may_use($0, path.directory, root.writes)
            }
            guard !mayUse else { continue }
            if plan.user != nil, root.writes, root.mayBeClosed,
                unsafe withUnsafePointer(
                    to: user, { unsafe csandbox_may_use($0, path.directory, false) })
            {
                report.closedFolders.append(root.path)
                continue
            }
            guard plan.user == nil else {
                throw .unusable(
                    path: root.path, user: Sandbox.name(of: user), writes: root.writes)
            }
            var (owner, group): (UInt32, UInt32) = (0, 0)
            try Sandbox.check("stat", unsafe csandbox_owner(path.directory, &owner, &group))
            report.filesOwner = (owner, root.path)
            return (owner, group)
        }
        return (user.uid, user.gid)
    }

    private static func name(of user: csandbox_user) -> String {
        var user = user
        return unsafe withUnsafeBytes(of: &user.name) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    private func hideMemory() throws(SandboxError) {
        if plan.hasSecrets || report.user != nil {
            try Sandbox.check("core dumps", csandbox_no_core())
        }
    }

    // MARK: Files and system calls

    /// What the C library and TLS read when names are looked up.
    private static let resolverPaths = [
        "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
        "/etc/services", "/etc/protocols", "/etc/ssl", "/etc/pki", "/etc/ca-certificates",
        "/usr/share/ca-certificates", "/usr/lib/ssl", "/run/systemd/resolve", "/run/resolvconf",
        "/run/NetworkManager", "/run/nscd", "/var/run/nscd",
    ]
    /// What a running program reads of its system: libraries that are loaded late, clocks, its own
    /// state. All of /proc, since the folder of a process in it may become another one at any time;
    /// Landlock keeps other processes' secrets by itself.
    private static let systemPaths = [
        "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache",
        "/etc/localtime", "/usr/share/zoneinfo", "/etc/passwd", "/etc/group", "/dev/urandom",
        "/dev/random", "/proc", "/sys/fs/cgroup", "/sys/devices/system",
    ]

    private mutating func openPaths() throws(SandboxError) {
        for root in plan.roots {
            let file = unsafe csandbox_open(root.path)
            guard file >= 0 else { throw .cannotOpen(path: root.path, errno: -file) }
            paths.append(
                csandbox_path(directory: file, writes: root.writes, makes_sockets: false))
        }
        for root in plan.roots where root.isFollowed {
            // The folder around it: Landlock knows folders, not paths.
            for path in RootSurroundings.paths(of: root.path) {
                allow(path, writes: root.writes, makesSockets: false)
            }
        }
        for path in plan.readablePaths + Sandbox.systemPaths { allow(path, writes: false) }
        if plan.usesResolver {
            for path in Sandbox.resolverPaths { allow(path, writes: false) }
        }
        for path in plan.writablePaths + ["/dev/null"] { allow(path, writes: true) }
    }

    /// Takes in what may be absent.
    private mutating func allow(_ path: String, writes: Bool, makesSockets: Bool? = nil) {
        let file = unsafe csandbox_open(path)
        guard file >= 0 else { return }
        paths.append(
            csandbox_path(
                directory: file, writes: writes, makes_sockets: makesSockets ?? writes))
    }

    private func closePaths() {
        for path in paths { close(path.directory) }
    }

    private mutating func restrictFiles() throws(SandboxError) {
        let result = unsafe paths.withUnsafeBufferPointer { paths in
            unsafe csandbox_landlock(paths.baseAddress, UInt32(paths.count))
        }
        if Sandbox.isAbsent(result) { return }
        try Sandbox.check("landlock", result)
        report.landlockVersion = Int(csandbox_landlock_version())
    }

    private mutating func restrictCalls() throws(SandboxError) {
        let result = csandbox_seccomp()
        if Sandbox.isAbsent(result) { return }
        try Sandbox.check("seccomp", result)
        report.hasSeccomp = true
    }

    /// Whether the kernel has no such wall. What else fails (EINVAL too) is a mistake of ours, and
    /// ends the start.
    static func isAbsent(_ result: Int32) -> Bool { result == -ENOSYS || result == -EOPNOTSUPP }

    private static func check(_ step: String, _ result: Int32) throws(SandboxError) {
        if result < 0 { throw .refused(step: step, errno: -result) }
    }
}

/// The walls around this process, as the kernel tells them.
package struct SandboxState: Equatable, Sendable {
    package let isRoot: Bool
    package let hasCapabilities: Bool
    package let hasNoNewPrivileges: Bool
    package let hasSeccomp: Bool
    package let mayDumpCore: Bool

    /// Nil where /proc does not tell.
    package static var current: SandboxState? {
        var state = csandbox_state()
        guard unsafe csandbox_read_state(&state) == 0 else { return nil }
        return SandboxState(
            isRoot: state.uid == 0, hasCapabilities: state.capabilities != 0,
            hasNoNewPrivileges: state.no_new_privileges, hasSeccomp: state.seccomp == 2,
            mayDumpCore: state.may_dump_core)
    }

    /// Nothing of this process's memory reaches a core dump or another process of the user from now
    /// on. Called before a secret is read.
    ///
    /// - Throws: `refused`.
    package static func hideMemory() throws(SandboxError) {
        let result = csandbox_no_core()
        if result < 0 { throw .refused(step: "core dumps", errno: -result) }
    }

    /// The version of Landlock that this kernel has; 0: none.
    package static var landlockVersion: Int { Int(csandbox_landlock_version()) }
}
