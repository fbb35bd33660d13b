internal import Glibc
internal import TFTPPeer

/// A file that an argument or a setting names, read as a whole.
///
/// A reload reads such files again while the server runs, so reading one must end: a pipe in the
/// place of a file would keep the reload waiting, and with it every reload after it.
enum NamedFile {
    /// Why a file cannot be read.
    enum Failure: Error, Equatable, CustomStringConvertible {
        case unreadable(String)
        case tooLarge(byteCountMax: Int)
        /// A folder, or a block device.
        case notRegular
        /// A pipe or a device that sent nothing for so long.
        case silent(Duration)

        var description: String {
            switch self {
            case .unreadable(let reason): "cannot be read: \(reason)"
            case .tooLarge(let limit): "is larger than \(limit >> 20) MiB"
            case .notRegular: "is not a regular file"
            case .silent(let time):
                "is not a regular file, and nothing came from it for \(time.components.seconds) seconds"
            }
        }
    }

    /// How long a pipe, such as the shell's `<(…)`, may take from one byte to the next.
    static let patience = Duration.seconds(5)

    /// Reads the file to its end.
    ///
    /// - Parameters:
    ///   - byteCountMax: a larger file is rejected.
    ///   - patience: how long what is not a regular file may take from one byte to the next.
    static func bytes(
        of path: String, byteCountMax: Int, patience: Duration = patience
    ) throws(Failure) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else { throw .unreadable(reason(errno)) }
        let file = LocalFile(descriptor: descriptor)
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw .unreadable(reason(errno)) }
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFREG || kind == S_IFIFO || kind == S_IFCHR else { throw .notRegular }
        var bytes: [UInt8] = []
        while bytes.count <= byteCountMax {
            if kind != S_IFREG { try wait(for: descriptor, patience) }
            let piece: [UInt8]
            do {
                piece = try file.read(upToCount: min(byteCountMax + 1 - bytes.count, 1 << 16))
            } catch {
                throw .unreadable("\(error)")
            }
            if piece.isEmpty { return bytes }
            bytes += piece
        }
        throw .tooLarge(byteCountMax: byteCountMax)
    }

    /// Waits until there are bytes, or no process writes any more.
    private static func wait(for descriptor: Int32, _ patience: Duration) throws(Failure) {
        let end = ContinuousClock.now + patience
        while true {
            let left = max(.zero, end - ContinuousClock.now)
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            // Rounded up, so that the last wait does not end before the time.
            let milliseconds = Int32(clamping: Int(left / .milliseconds(1)) + 1)
            let count = unsafe poll(&entry, 1, milliseconds)
            if count > 0 { return }
            guard count == 0 || errno == EINTR else { throw .unreadable(reason(errno)) }
            guard ContinuousClock.now < end else { throw .silent(patience) }
        }
    }

    private static func reason(_ errno: Int32) -> String { unsafe String(cString: strerror(errno)) }
}
