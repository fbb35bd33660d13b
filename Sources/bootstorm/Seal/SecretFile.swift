internal import ArgumentParser
internal import Glibc
internal import Sandbox
internal import TFTPPeer

/// A file that only its owner may read; or root's, which its group may read too: that is how a
/// secret is mounted for a process that must not be able to change it.
struct SecretFile {
    let text: String
    private let path: String

    /// A larger file is rejected.
    private static let byteCountMax = 1 << 20

    init(_ path: String) throws {
        self.path = path
        // Whatever command reads it: a crash writes no key to the disk.
        try SandboxState.hideMemory()
        var status = stat()
        let bytes: [UInt8]
        do throws(NamedFile.Failure) {
            bytes = try NamedFile.bytes(of: path, byteCountMax: SecretFile.byteCountMax)
        } catch {
            throw ValidationError("'\(path)' \(error)")
        }
        guard unsafe stat(path, &status) == 0 else {
            throw ValidationError("'\(path)' cannot be read")
        }
        let allowed: mode_t = status.st_uid == 0 ? 0o040 : 0
        guard status.st_mode & 0o077 & ~allowed == 0 else {
            throw ValidationError(
                "'\(path)' can be read by others (mode \(String(status.st_mode & 0o777, radix: 8))): run chmod 600 on it"
            )
        }
        text = String(decoding: bytes, as: UTF8.self)
    }

    /// What `parse` makes of the text; what is wrong with it is told with the file's name.
    func parsed<Result>(_ parse: (String) throws -> Result) throws -> Result {
        do {
            return try parse(text)
        } catch {
            throw ValidationError("'\(path)': \(error)")
        }
    }

    /// Makes the file, with nothing but this text; it must not be there.
    static func create(_ path: String, _ text: String) throws {
        let descriptor = unsafe open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw ValidationError(
                "'\(path)' cannot be created: \(unsafe String(cString: strerror(errno))).")
        }
        try LocalFile(descriptor: descriptor).write(text.utf8)
    }
}
