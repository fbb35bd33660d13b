internal import TFTPReactor

/// Tells a service manager that waits for it (systemd's `Type=notify`) that clients are answered
/// now. Does nothing where none waits.
public func notifyReady() { notifyServiceManager("READY=1") }
