/// What a service manager has said in the environment (sd_notify(3), sd_listen_fds(3),
/// sd_watchdog_enabled(3)).
///
/// Sans-IO: names and values in, what they ask for out.
struct ServiceEnvironment: Equatable {
    /// A socket that was passed to this process.
    struct PassedSocket: Equatable {
        let file: Int32
        /// As the socket unit calls it (FileDescriptorName=); empty where it does not.
        let name: String
    }

    /// Where the service manager listens; nil: none waits.
    var notifySocket: String?
    /// Watchdog messages are expected at least so often; nil: none are.
    var watchdog: Duration?
    var sockets: [PassedSocket] = []
    /// What LISTEN_FDS says where that is no number of sockets: the server must not listen
    /// elsewhere instead.
    var invalidSocketCount: String?

    /// The names that are read, and removed so that no child of this process takes them for its
    /// own.
    static let names = [
        "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS",
        "LISTEN_FDNAMES",
    ]

    private static let firstFile: Int32 = 3
    /// More are taken for a mistake.
    private static let socketsMax = 256

    /// - Parameter processID: of this process; what is addressed to another one is ignored.
    init(_ values: [String: String], processID: Int32) {
        if let name = values["NOTIFY_SOCKET"], name.hasPrefix("/") || name.hasPrefix("@") {
            notifySocket = name
        }
        if let text = values["WATCHDOG_USEC"], let microseconds = Int64(text), microseconds > 0,
            values["WATCHDOG_PID"].map({ Int32($0) == processID }) ?? true
        {
            watchdog = .microseconds(microseconds)
        }
        guard let pid = values["LISTEN_PID"], Int32(pid) == processID,
            let text = values["LISTEN_FDS"], text != "0"
        else { return }
        guard let count = Int32(text), (1...Int32(ServiceEnvironment.socketsMax)).contains(count)
        else {
            invalidSocketCount = text
            return
        }
        let fileNames = (values["LISTEN_FDNAMES"] ?? "").split(
            separator: ":", omittingEmptySubsequences: false)
        sockets = (0..<count).map { index in
            let name = fileNames.dropFirst(Int(index)).first.map(String.init) ?? ""
            return PassedSocket(file: ServiceEnvironment.firstFile + index, name: name)
        }
    }
}
