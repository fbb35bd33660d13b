internal import ArgumentParser
internal import Sandbox
internal import SystemPackage

/// What `serve` keeps of the privileges that it was started with.
struct PrivilegeOptions: ParsableArguments {
    @Option(
        help: .init(
            """
            User to serve as when started as root. (default: bootstorm, or else nobody)
            """, valueName: "name"))
    var user: String?

    @Flag(help: "Serve files that are not world-readable (mode o+r) as well.")
    var serveUnreadable = false

    /// Gives up what `plan` does not name, and returns what the log is to say of it.
    ///
    /// - Throws: after one line that says why the server does not start.
    func enter(_ plan: SandboxPlan) throws -> [String] {
        var plan = plan
        plan.user = user
        do throws(SandboxError) {
            return PrivilegeOptions.remarks(on: try Sandbox.enter(plan))
        } catch {
            StandardError.write("bootstorm: \(PrivilegeOptions.line(error))\n")
            throw ExitCode.failure
        }
    }

    /// The user that `enter` becomes; nil: the process does not change its user.
    var serverUser: (uid: UInt32, gid: UInt32)? {
        var plan = SandboxPlan()
        plan.user = user
        return Sandbox.user(of: plan)
    }

    /// Gives up what the main process, which only relays, does not need. What fails here fails in
    /// the server too, which tells it.
    func enterMain() {
        var plan = SandboxPlan()
        plan.user = user
        _ = try? Sandbox.enter(plan)
    }

    static func remarks(on report: SandboxReport) -> [String] {
        var lines: [String] = []
        if let user = report.user, let owner = report.filesOwner {
            lines.append(
                """
                user \(user) may not use \(owner.path): its files are accessed as their owner (uid \(owner.uid)), without \
                any capability; give \(user) access to the folder to avoid that
                """)
        }
        for folder in report.closedFolders {
            lines.append(
                """
                user \(report.user ?? "") may not make files in \(folder): uploads go to files and folders below that it may \
                write
                """)
        }
        if report.landlockVersion == 0 {
            lines.append("this kernel has no Landlock: file access is limited by permissions alone")
        }
        if !report.hasSeccomp { lines.append("this kernel has no seccomp filters") }
        return lines
    }

    static func line(_ error: SandboxError) -> String {
        switch error {
        case .noSuchUser(let name):
            return "no user '\(name)': create it (useradd --system \(name)), or give another --user"
        case .needsRoot(let user):
            return "cannot become user '\(user)': start as root, or without --user"
        case .unusable(let path, let user, let writes):
            let access = writes ? "write to" : "enter"
            return
                "user '\(user)' may not \(access) \(path): change its owner or mode, or give another --user"
        case .cannotOpen(let path, let errno):
            return "cannot open \(path): \(Errno(rawValue: errno))"
        case .refused(let step, let errno):
            let error = Errno(rawValue: errno)
            let wayOut =
                error == .tooManyOpenFiles
                ? "; raise the limit of open files (ulimit -n, LimitNOFILE= in a unit)" : ""
            return "cannot drop privileges: \(step): \(error)\(wayOut)"
        }
    }
}
