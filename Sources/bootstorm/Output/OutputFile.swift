internal import FoundationEssentials
internal import Glibc
internal import SystemPackage
internal import TFTPPeer

/// Why a result is not in its file: one line.
struct OutputError: Error, CustomStringConvertible {
    var path: String
    var reason: String

    var description: String { "cannot write \(path): \(reason)" }
}

/// A file that results go to at the end of a run; `-` is standard output.
struct OutputFile {
    let path: String

    init(_ path: String) { self.path = path }

    /// Whether it could be written now. Nothing is created or changed: the run may still fail.
    func check() throws(OutputError) {
        guard path != "-" else { return }
        var status = stat()
        let exists = unsafe stat(path, &status) == 0
        if exists && status.st_mode & S_IFMT == S_IFDIR {
            throw OutputError(path: path, reason: "it is a folder")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        guard unsafe access(exists ? path : folder, W_OK) == 0 else {
            throw OutputError(path: path, reason: unsafe String(cString: strerror(errno)))
        }
    }

    func write(_ text: String) throws(OutputError) {
        guard path != "-" else {
            guard let reason = StandardOutput.attempt(text) else { return }
            throw OutputError(path: "standard output", reason: reason)
        }
        do {
            try LocalFile(writing: path).write(text.utf8)
        } catch {
            throw OutputError(path: path, reason: failureReason(error))
        }
    }
}

/// Why a file operation failed, in the system's words.
func failureReason(_ error: any Error) -> String {
    let cause = (error as? CocoaError)?.underlying ?? error
    guard let cause = cause as? POSIXError else { return "\(cause)" }
    return "\(Errno(rawValue: cause.code.rawValue))"
}
