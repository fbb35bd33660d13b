internal import CLinux
internal import FoundationEssentials
internal import Glibc

/// The service manager that has started this process, where one has, and the main process that it
/// watches.
///
/// Under a service manager the server runs in a child of the main process. When the service is
/// stopped, the main process ends as soon as the listeners are closed, so that the next one can
/// start; the child stays until the running transfers have ended.
final class ServiceManager: Sendable {
    let environment: ServiceEnvironment
    /// Connected to the service manager, or -1.
    private let notifyFile: Int32
    /// Connected to the main process, or -1 where this is the main process.
    let mainFile: Int32

    /// Reads and clears the environment. Call it while the process has one thread: it may fork and
    /// return in the child.
    ///
    /// - Parameter prepareMain: releases what the main process does not need.
    init(prepareMain: () -> Void) {
        environment = ServiceEnvironment(
            ProcessInfo.processInfo.environment, processID: getpid())
        for name in ServiceEnvironment.names { unsafe unsetenv(name) }
        let opened = environment.notifySocket.map { unsafe clinux_notify_open($0) } ?? -1
        // Process 1 of a container must not fork: the container ends with it.
        var socket: Int32 = -1
        let server =
            opened >= 0 && getpid() != 1 ? unsafe clinux_split(&socket) : -ENOSYS
        if server > 0 {
            // The sockets that were passed are the server's.
            for passed in environment.sockets { close(passed.file) }
            prepareMain()
            // It makes no ring.
            clinux_end_locking_memory()
            clinux_run_main(server, socket, opened)
        }
        if server == 0 { close(opened) }
        (mainFile, notifyFile) = server == 0 ? (socket, -1) : (-1, opened)
    }

    /// Whether a service manager receives what is sent.
    var isPresent: Bool { notifyFile >= 0 || mainFile >= 0 }

    /// Sends assignments as in sd_notify(3). Does nothing where no service manager waits.
    func notify(_ assignments: String...) {
        let text = assignments.joined(separator: "\n")
        if mainFile >= 0 {
            unsafe clinux_main_send(mainFile, CChar(CLINUX_MAIN_NOTIFY), text)
        } else if notifyFile >= 0 {
            unsafe clinux_notify_send(notifyFile, text)
        }
    }

    /// Tells the main process that nothing listens any more.
    func released() {
        guard mainFile >= 0 else { return }
        clinux_main_send(mainFile, CChar(CLINUX_MAIN_RELEASED), nil)
    }

    /// Whether the main process may end before this one: nothing that this one says then concerns
    /// the next service.
    var leavesMain: Bool { mainFile >= 0 }

    /// RELOADING=1 with the time that systemd wants with it.
    func reloading() {
        notify("RELOADING=1", "MONOTONIC_USEC=\(clinux_now() / 1000)")
    }
}
