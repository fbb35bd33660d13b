internal import CLinux

/// The arguments of this process, its own name first.
///
/// The runtime reads them from /proc, which a container may lack: the program would then do as if
/// it had none.
enum ProcessArguments {
    static let all: [String] = {
        var count: Int32 = 0
        guard let values = unsafe clinux_arguments(&count) else { return CommandLine.arguments }
        return (0..<Int(count)).compactMap { index in
            unsafe values[index].map { unsafe String(cString: $0) }
        }
    }()
}
