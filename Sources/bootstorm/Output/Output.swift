internal import Glibc
internal import Synchronization

/// Writes results past the C library's buffers, so that a line is out when the call returns.
enum StandardOutput {
    private static let firstFailure = Atomic<Int32>(0)

    /// Why something could not be written, of the first time; nil if all was. A reader that has
    /// left on purpose, as `head` does, is none.
    static var failure: String? {
        let number = firstFailure.load(ordering: .relaxed)
        return number == 0 || number == EPIPE ? nil : unsafe String(cString: strerror(number))
    }

    /// Writes all of `text`, however slow its reader is; `failure` says where it could not.
    static func write(_ text: String) { _ = attempt(text) }

    /// The same.
    ///
    /// - Returns: nil, or why only a part of it was written, also if its reader has left.
    static func attempt(_ text: String) -> String? {
        let number = writeAll(STDOUT_FILENO, text, patience: nil)
        guard number != 0 else { return nil }
        _ = firstFailure.compareExchange(expected: 0, desired: number, ordering: .relaxed)
        return unsafe String(cString: strerror(number))
    }

    /// Writes what is no result: that it could not be written is no failure of the program.
    ///
    /// - Returns: 0, or the number of the error.
    static func tell(_ text: String) -> Int32 { writeAll(STDOUT_FILENO, text, patience: nil) }
}

/// Writes whole pieces, so that two threads do not mix theirs, and without the passwords of URLs
/// that this process was given. A pipe whose reader has stopped costs a second at most, since the
/// writer of a log line must go on.
enum StandardError {
    private static let lock = Mutex(())
    private static let patience = Duration.seconds(1)

    static func write(_ text: String) {
        let text = URLSecrets.ofThisProcess.removed(from: text)
        lock.withLock { _ in _ = writeAll(STDERR_FILENO, text, patience: patience) }
    }
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

/// Writes `text`, or as much of it as is taken within `patience` (nil: all).
///
/// - Returns: 0, or the number of the error that kept a part of it from being written.
private func writeAll(_ file: Int32, _ text: String, patience: Duration?) -> Int32 {
    var bytes = Array(text.utf8)[...]
    let end = patience.map { ContinuousClock.now + $0 }
    while !bytes.isEmpty {
        let left = end.map { Int32(max(.zero, $0 - .now) / .milliseconds(1)) } ?? -1
        var wait = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
        let ready = unsafe poll(&wait, 1, left)
        if ready < 0 && errno == EINTR { continue }
        guard ready > 0 else { return ready < 0 ? errno : ETIMEDOUT }
        // A pipe that can be written to has room for a page.
        let count = min(bytes.count, 4096)
        let written = unsafe bytes.withUnsafeBytes { buffer in
            unsafe write(file, buffer.baseAddress, count)
        }
        guard written > 0 || errno == EINTR || errno == EAGAIN else {
            return written < 0 ? errno : EIO
        }
        bytes = bytes.dropFirst(max(0, written))
    }
    return 0
}
