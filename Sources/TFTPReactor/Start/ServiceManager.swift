internal import CLinux
internal import Glibc

/// Sends `state` to the socket that the service manager named in NOTIFY_SOCKET, if it did.
package func notifyServiceManager(_ state: String) {
    guard let name = unsafe getenv("NOTIFY_SOCKET") else { return }
    let file = unsafe clinux_notify_open(name)
    guard file >= 0 else { return }
    unsafe clinux_notify_send(file, state)
    clinux_close(file)
}
