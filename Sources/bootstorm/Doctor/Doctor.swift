internal import ArgumentParser
internal import Glibc
internal import Sandbox

/// `bootstorm doctor`: what of this machine a server would stumble over, and which restrictions it
/// would have.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check this machine, and the restrictions that a server puts on itself.",
        discussion: """
            Prints one line a check: 'ok', 'warn' (a server runs, but not as well as it could) or 'FAIL' (it does not), each \
            with the way out. It puts the restrictions of 'serve' on this process itself, and prints which are effective. Exits 1 \
            if something fails.
            """)

    @Argument(help: "Folder that would be served.", completion: .directory)
    var root = "."

    @OptionGroup var privileges: PrivilegeOptions

    func run() throws {
        var findings = MachineCheck.all()
        findings += wallFindings()
        for finding in findings { StandardOutput.write(finding.line + "\n") }
        if findings.contains(where: { $0.grade == .fail }) { throw ExitCode.failure }
    }

    private func wallFindings() -> [Finding] {
        var plan = SandboxPlan()
        plan.user = privileges.user
        plan.roots = [.init(path: root, writes: false)]
        plan.hasSecrets = true
        do throws(SandboxError) {
            let report = try Sandbox.enter(plan)
            return PrivilegeOptions.remarks(on: report).map { Finding(.warn, "sandbox", $0) }
                + Doctor.findings(report, SandboxState.current)
        } catch {
            return [Finding(.fail, "sandbox", PrivilegeOptions.line(error))]
        }
    }

    /// One line a restriction.
    static func findings(_ report: SandboxReport, _ state: SandboxState?) -> [Finding] {
        guard let state else {
            return [Finding(.warn, "sandbox", "/proc does not tell: mount it to see them")]
        }
        func wall(_ name: String, _ stands: Bool, _ text: String, _ wayOut: String) -> Finding {
            stands ? Finding(.ok, name, text) : Finding(.warn, name, wayOut)
        }
        return [
            wall(
                "user", !state.isRoot, report.user ?? "not root",
                "root: start with the privilege to change users, or with --user"),
            wall(
                "capabilities", !state.hasCapabilities, "none", "some are left"),
            wall(
                "no_new_privs", state.hasNoNewPrivileges, "set", "not set"),
            wall(
                "Landlock", report.landlockVersion > 0, "version \(report.landlockVersion)",
                "none in this kernel: add 'landlock' to its lsm= list"),
            wall(
                "seccomp", state.hasSeccomp, "system calls are filtered",
                "no filter: this kernel has none"),
            wall(
                "core dumps", !state.mayDumpCore, "off", "on: keys would be in them"),
        ]
    }
}

/// One line of the doctor.
struct Finding: Equatable {
    enum Grade: String {
        case ok
        case warn
        case fail = "FAIL"
    }

    let grade: Grade
    let subject: String
    let text: String

    init(_ grade: Grade, _ subject: String, _ text: String) {
        self.grade = grade
        self.subject = subject
        self.text = text
    }

    var line: String {
        let word = grade.rawValue
        return word + String(repeating: " ", count: 6 - word.utf8.count) + "\(subject): \(text)"
    }
}
