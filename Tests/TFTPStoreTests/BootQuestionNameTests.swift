import Testing

@testable import TFTPStore

/// The hard case of boot clients that is about a file name; the others are in TFTPCoreTests.
@Suite struct BootQuestionNameTests {
    private func bytes(_ name: FileName) -> [UInt8] { name.bytes.withUnsafeBytes { Array($0) } }

    @Test("Q11 Jetway's firmware leaves a byte of DHCP behind the name")
    func q11() throws {
        let requested = Array("x.efi".utf8) + [0xff]
        let asked = try FileName(normalising: requested.span.bytes)
        let stripped = try #require(asked.strippingTrailingJunk())
        #expect(bytes(stripped) == Array("x.efi".utf8))
        // The name as it stands is not that of the file: a naive server answers ERROR 1.
        #expect(bytes(asked) != Array("x.efi".utf8))
    }
}
