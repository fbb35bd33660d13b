import CWallProbe
import Glibc
import Sandbox
import Uring

// Raises the walls around itself, tries to pass one of them, and prints what came of it: "stands"
// or "passed".
//
//     SandboxProbe WALL ROOT OUTSIDE [USER]

let arguments = CommandLine.arguments
let (wall, root, outside) = (arguments[1], arguments[2], arguments[3])
var plan = SandboxPlan()
plan.roots = [
    .init(
        path: root, writes: wall == "upload" || wall == "closed", mayBeClosed: wall == "closed")
]
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
    case "serve", "closed": !cwallprobe_open(root + "/file", false)
    case "upload": !cwallprobe_open(root + "/new", true)
    case "execute": cwallprobe_execute()
    case "fork": cwallprobe_fork()
    case "trace": cwallprobe_trace()
    case "mount": cwallprobe_mount(root)
    case "raw": cwallprobe_raw_socket()
    case "namespace": cwallprobe_namespace()
    case "signal": cwallprobe_signal()
    case "ring": ringOpens(outside + "/file")
    default: true
    }
}

/// Whether the ring of a shard, which is for datagrams, opens a file: seccomp sees no requests of
/// rings.
func ringOpens(_ path: String) -> Bool {
    guard var ring = try? Ring(entries: 8, completions: 16, uses: .network) else { return false }
    let storage = UnsafeMutableRawPointer.allocate(byteCount: 24, alignment: 8)
    defer { storage.deallocate() }
    return path.withCString { path in
        _ = ring.queueOpen(
            directory: AT_FDCWD, path: path, flags: O_RDONLY | O_CLOEXEC, resolve: 0,
            storage: storage, userData: 1)
        _ = try? ring.enter(waitingFor: 1, nanoseconds: 1_000_000_000)
        return ring.drain() != 1 || ring.completion(0).result != -EACCES
    }
}

do throws(SandboxError) {
    let report = try Sandbox.enter(plan)
    print("user \(report.user ?? "-") owner \(report.filesOwner?.uid ?? UInt32.max)")
    print(passes() ? "passed" : "stands")
} catch {
    print("refused: \(error)")
}
