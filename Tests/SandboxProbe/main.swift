import CWallProbe
import Sandbox

// Raises the walls around itself, tries to pass one of them, and prints what came of it: "stands"
// or "passed".
//
//     SandboxProbe WALL ROOT OUTSIDE [USER]

let arguments = CommandLine.arguments
let (wall, root, outside) = (arguments[1], arguments[2], arguments[3])
var plan = SandboxPlan()
plan.roots = [.init(path: root, writes: wall == "upload")]
plan.hasSecrets = true
if arguments.count > 4 { plan.user = arguments[4] }

/// True: the wall does not hold what it is for.
func passes() -> Bool {
    switch wall {
    case "user": cwallprobe_user()
    case "groups": cwallprobe_groups()
    case "capabilities":
        cwallprobe_capability() || SandboxState.current?.hasCapabilities != false
    case "privileges": SandboxState.current?.hasNoNewPrivileges != true
    case "core": cwallprobe_core()
    case "read": cwallprobe_open(outside + "/file", false)
    case "climb": cwallprobe_open(root + "/../outside/file", false)
    case "write": cwallprobe_open(root + "/new", true)
    case "remove": cwallprobe_remove(root + "/file")
    // What a server is for.
    case "serve": !cwallprobe_open(root + "/file", false)
    case "upload": !cwallprobe_open(root + "/new", true)
    case "execute": cwallprobe_execute()
    case "fork": cwallprobe_fork()
    case "trace": cwallprobe_trace()
    case "mount": cwallprobe_mount(root)
    case "raw": cwallprobe_raw_socket()
    case "namespace": cwallprobe_namespace()
    case "signal": cwallprobe_signal()
    default: true
    }
}

do throws(SandboxError) {
    let report = try Sandbox.enter(plan)
    print("user \(report.user ?? "-") owner \(report.filesOwner?.uid ?? UInt32.max)")
    print(passes() ? "passed" : "stands")
} catch {
    print("refused: \(error)")
}
