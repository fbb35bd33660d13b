import ArgumentParser
import Foundation
import Testing

@testable import bootstorm

/// Secrets for origins are not shown to others.
struct OriginOptionsTests {
    /// A world-readable file in the place of a certificate.
    private func publicFile() throws -> String {
        let path = FileManager.default.temporaryDirectory.appending(path: "cert-\(UUID())").path
        try Data("PEM".utf8).write(to: URL(filePath: path))
        return path
    }

    private func remove(_ paths: String...) {
        for path in paths { try? FileManager.default.removeItem(atPath: path) }
    }

    @Test(arguments: [
        "Authorization Bearer s3cret", "Author ization: s3cret", "X: s3cret\nY: z",
    ])
    func aWrongFieldIsNotRepeated(field: String) throws {
        let options = try OriginOptions.parse(["--origin-header", field])
        let error = #expect(throws: ValidationError.self) { try options.access(environment: [:]) }
        #expect(error?.message.contains("s3cret") == false)
        #expect(error?.message.contains("--origin-header") == true)
    }

    /// A private key is a secret wherever it is.
    @Test(arguments: [true, false])
    func aKeyThatOthersMayRead(isInCertificate: Bool) throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "key-\(UUID())").path
        try SecretFile.create(path, "PEM")
        let certificate = try publicFile()
        defer { remove(path, certificate) }
        let arguments =
            isInCertificate
            ? ["--origin-cert", path] : ["--origin-cert", certificate, "--origin-key", path]
        let options = try OriginOptions.parse(arguments)
        #expect(options.hasSecrets(environment: [:]))
        _ = try options.access(environment: [:])
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        let error = #expect(throws: ValidationError.self) { try options.access(environment: [:]) }
        #expect(error?.message.contains("chmod 600") == true)
    }

    /// What a fleet's engine is shown is read before the process loses its privileges.
    @Test func theFleetsKeyIsASecretToo() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "key-\(UUID())").path
        try SecretFile.create(path, "me:secret")
        let certificate = try publicFile()
        defer { remove(path, certificate) }
        let options = try FleetOptions.parse([
            "--fleet-tls", "\(certificate),\(certificate),\(path)", "--fleet-auth", path,
        ])
        #expect(options.hasSecrets)
        let access = try options.access()
        #expect(access.key == Array("me:secret".utf8) && access.user?.name == "me")
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        #expect(throws: ValidationError.self) { try options.access() }
    }
}
