internal import Glibc
internal import Synchronization

/// Writes whole pieces past the C library's buffers, so that a line is out when the call returns
/// and two threads do not mix theirs.
enum StandardOutput {
    static func write(_ text: String) { writeAll(STDOUT_FILENO, text) }
}

enum StandardError {
    private static let lock = Mutex(())

    static func write(_ text: String) { lock.withLock { _ in writeAll(STDERR_FILENO, text) } }
}

/// Occupies the descriptors 0, 1 and 2 if the caller has closed them. Otherwise a later `open`
/// would return one of them, and content or log lines would go there. Reading or writing them still
/// fails.
func occupyStandardFiles() {
    for file in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(file, F_GETFD) < 0 {
        // The lowest free number, which is this one.
        _ = unsafe open("/dev/null", (file == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC)
    }
}

/// A log whose reader has ended must not end the server.
func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

/// Ends the process at once.
func endProcess(_ code: Int32) -> Never { exit(code) }

/// Writes as much of `text` as the reader takes within `writePatience`, so that a full pipe cannot
/// block the caller for longer.
private func writeAll(_ file: Int32, _ text: String) {
    var bytes = Array(text.utf8)[...]
    let end = ContinuousClock.now + writePatience
    while !bytes.isEmpty {
        let left = max(.zero, end - .now)
        var wait = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
        let ready = unsafe poll(&wait, 1, Int32(left / .milliseconds(1)))
        if ready < 0 && errno == EINTR { continue }
        guard ready > 0 else { return }
        // A pipe that can be written to has room for a page.
        let count = min(bytes.count, 4096)
        let written = unsafe bytes.withUnsafeBytes { buffer in
            unsafe write(file, buffer.baseAddress, count)
        }
        // The reader has closed the pipe.
        guard written > 0 || errno == EINTR else { return }
        bytes = bytes.dropFirst(max(0, written))
    }
}

private let writePatience = Duration.seconds(1)
