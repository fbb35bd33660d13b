internal import CLinux

/// Sends `state` to the socket that the service manager named in NOTIFY_SOCKET, if it did.
package func notifyServiceManager(_ state: String) { unsafe clinux_notify(state) }
