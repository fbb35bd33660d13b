import ArgumentParser
import Foundation
import Testing

@testable import bootstorm

struct SecretFileTests {
    private func withFile(mode: Int, _ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "secret-\(UUID())").path
        try SecretFile.create(path, "k 1\n")
        defer { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        try body(path)
    }

    @Test(arguments: [0o600, 0o400, 0o700])
    func aFileOfOnesOwn(mode: Int) throws {
        try withFile(mode: mode) { path in
            let text = try SecretFile(path).text
            #expect(text == "k 1\n")
        }
    }

    /// Another user who can read or write the file knows the secret, or chooses it.
    @Test(arguments: [0o604, 0o620, 0o602, 0o644, 0o666])
    func aFileThatOthersCanRead(mode: Int) throws {
        try withFile(mode: mode) { path in
            let error = #expect(throws: ValidationError.self) { try SecretFile(path) }
            #expect(error?.message.contains("chmod 600") == true)
        }
    }

    /// Of a file of root's, which is how secrets are mounted, the group may be the reader's own.
    @Test func aFileOfRootThatItsGroupCanRead() throws {
        try withFile(mode: 0o640) { path in
            if geteuid() == 0 {
                let text = try SecretFile(path).text
                #expect(text == "k 1\n")
            } else {
                #expect(throws: ValidationError.self) { try SecretFile(path) }
            }
        }
    }

    @Test func aNewFileIsOnesOwn() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "secret-\(UUID())").path
        try SecretFile.create(path, "x")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect((mode as? NSNumber)?.intValue == 0o600)
        #expect(throws: ValidationError.self) { try SecretFile.create(path, "y") }
    }

    @Test func whatIsWrongInIt() throws {
        try withFile(mode: 0o600) { path in
            struct Wrong: Error, CustomStringConvertible { let description = "line 1" }
            let error = #expect(throws: ValidationError.self) {
                try SecretFile(path).parsed { (_: String) throws -> Int in throw Wrong() }
            }
            #expect(error?.message == "'\(path)': line 1")
        }
        #expect(throws: ValidationError.self) { try SecretFile("/nowhere/\(UUID())") }
    }
}
