internal import ArgumentParser
internal import Foundation
internal import Glibc

/// A file that nobody else may read.
struct SecretFile {
    let text: String
    private let path: String

    init(_ path: String) throws {
        self.path = path
        var status = stat()
        guard unsafe stat(path, &status) == 0,
            let data = FileManager.default.contents(atPath: path)
        else {
            throw ValidationError("'\(path)' can not be read.")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw ValidationError("Others can read '\(path)', so it is no secret: chmod 600 it.")
        }
        text = String(decoding: data, as: UTF8.self)
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
                "'\(path)' can not be made: \(unsafe String(cString: strerror(errno))).")
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try file.write(contentsOf: Data(text.utf8))
    }
}
