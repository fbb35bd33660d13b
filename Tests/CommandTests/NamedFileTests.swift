import Foundation
import Testing

@testable import bootstorm

/// Files that settings name, and what may be in their place.
struct NamedFileTests {
    private func withPath(_ body: (String) throws -> Void) rethrows {
        let path = FileManager.default.temporaryDirectory.appending(path: "named-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private func failure(_ path: String, _ patience: Duration = .seconds(60)) -> NamedFile.Failure?
    {
        do throws(NamedFile.Failure) {
            _ = try NamedFile.bytes(of: path, byteCountMax: 8, patience: patience)
            return nil
        } catch {
            return error
        }
    }

    @Test func aRegularFile() throws {
        try withPath { path in
            #expect(failure(path) == .unreadable("No such file or directory"))
            try Data("12345678".utf8).write(to: URL(filePath: path))
            #expect(try NamedFile.bytes(of: path, byteCountMax: 8) == Array("12345678".utf8))
            try Data("123456789".utf8).write(to: URL(filePath: path))
            #expect(failure(path) == .tooLarge(byteCountMax: 8))
        }
    }

    /// A reload that waited for a writer would keep every later reload from being done.
    @Test func aPipeThatNoProcessWrites() {
        withPath { path in
            #expect(mkfifo(path, 0o600) == 0)
            #expect(failure(path, .milliseconds(20)) == .silent(.milliseconds(20)))
        }
    }

    /// The shell's `<(…)` is a pipe, which ends when its writer does.
    @Test func aPipeThatIsWritten() throws {
        let pipe = Pipe()
        pipe.fileHandleForWriting.write(Data("1234".utf8))
        try pipe.fileHandleForWriting.close()
        let path = "/proc/self/fd/\(pipe.fileHandleForReading.fileDescriptor)"
        #expect(try NamedFile.bytes(of: path, byteCountMax: 8) == Array("1234".utf8))
    }

    @Test func otherThings() {
        #expect(failure("/tmp") == .notRegular)
        #expect(failure("/dev/null") == nil)
        #expect(failure("/dev/zero") == .tooLarge(byteCountMax: 8))
    }
}
