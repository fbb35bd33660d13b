import Testing

@testable import TFTPFetch
@testable import TFTPPeer

@Suite struct ManifestTests {
    static func manifest(_ bytes: [UInt8], chunk: Int = 1024, name: String = "boot/x") -> Manifest {
        let chunks = stride(from: 0, to: bytes.count, by: chunk).map {
            Digest(of: bytes[$0..<min($0 + chunk, bytes.count)])
        }
        return Manifest(
            name: name, size: UInt64(bytes.count), modifiedSeconds: 7, chunkByteCount: chunk,
            digests: chunks)
    }

    @Test(arguments: [0, 1, 1023, 1024, 1025, 10_000])
    func isReadAsWritten(_ byteCount: Int) {
        let manifest = Self.manifest(content(byteCount))
        #expect(Manifest(manifest.text) == manifest)
        #expect(Manifest(manifest.text + "later more\nsignature x\n") == manifest)
    }

    @Test func theRootIsOfTheContentAlone() {
        let manifest = Self.manifest(content(5000))
        #expect(manifest.root == Self.manifest(content(5000), name: "other").root)
        #expect(manifest.root != Self.manifest(content(5001)).root)
        #expect(manifest.root != Self.manifest(content(5000, seed: 2)).root)
        #expect(manifest.root != Self.manifest(content(5000), chunk: 2048).root)
    }

    /// A line that is changed, missing or there twice is noticed, so that what has been read is
    /// what was written.
    @Test func anyChangeIsNoticed() {
        let lines = Self.manifest(content(3000)).text.split(
            separator: "\n", omittingEmptySubsequences: false)
        for index in lines.indices.dropLast() where !lines[index].hasPrefix("modified") {
            var less = lines
            less.remove(at: index)
            #expect(Manifest(less.joined(separator: "\n")) == nil)
            guard !lines[index].hasPrefix("name") else { continue }
            var other = lines
            other[index] = Substring(String(lines[index].dropLast()) + "7")
            if other[index] != lines[index] {
                #expect(Manifest(other.joined(separator: "\n")) == nil, "\(other[index])")
            }
        }
    }

    @Test(arguments: [
        "", "x", "bootstorm manifest 2\n",
        "bootstorm manifest 1\nsize 0\nmodified 1\nchunk 0\nroot x\nname y\n",
        "bootstorm manifest 1\nsize 18446744073709551615\nmodified 1\nchunk 1024\nroot x\nname y\n",
    ])
    func noManifest(_ text: String) { #expect(Manifest(text) == nil) }

    @Test func chunksStayFew() {
        #expect(Manifest.chunkByteCount(forFileOf: 0) == 1 << 20)
        #expect(Manifest.chunkByteCount(forFileOf: 16 << 30) == 1 << 20)
        #expect(Manifest.chunkByteCount(forFileOf: 16 << 30 + 1) == 2 << 20)
        #expect(Manifest.chunkByteCount(forFileOf: 100 << 30) == 8 << 20)
    }

    /// Whatever the pieces are that bytes come in, they pass in whole chunks, all of them, in
    /// order.
    @Test(arguments: [1, 7, 1000, 1024, 5000], [0, 1024, 2048])
    func bytesPassInChunks(piece: Int, from start: Int) throws {
        let bytes = content(4500)
        var check = ChunkCheck(Self.manifest(bytes), after: UInt64(start))
        var passed: [UInt8] = []
        for offset in stride(from: start, to: bytes.count, by: piece) {
            check.add(Array(bytes[offset..<min(offset + piece, bytes.count)]))
            while let chunk = try check.next() { passed += chunk }
        }
        #expect(passed == Array(bytes[start...]))
    }

    @Test func aWrongByteDoesNotPass() throws {
        let bytes = content(4500)
        for index in [0, 1023, 1024, 3000, 4499] {
            var wrong = bytes
            wrong[index] ^= 0x10
            var check = ChunkCheck(Self.manifest(bytes), after: 0)
            var passed: [UInt8] = []
            #expect(throws: SourceFailure.self) {
                for offset in stride(from: 0, to: wrong.count, by: 100) {
                    let end = min(offset + 100, wrong.count)
                    check.add(Array(wrong[offset..<end]))
                    while let chunk = try check.next() { passed += chunk }
                }
            }
            #expect(passed == Array(bytes[..<(index / 1024 * 1024)]))
        }
        var check = ChunkCheck(Self.manifest(bytes), after: 0)
        check.add(bytes + [1])
        #expect(throws: SourceFailure.self) { while try check.next() != nil {} }
    }

    @Test func signatures() throws {
        let (key, other) = (PeerNode.SigningKey(), PeerNode.SigningKey())
        let text = Self.manifest(content(100)).text
        let signed = try Signature.sign(text, with: key)
        #expect(Signature.isSigned(signed, by: [other.trusted, key.trusted]))
        #expect(!Signature.isSigned(signed, by: [other.trusted]))
        #expect(!Signature.isSigned(text, by: [key.trusted]))
        #expect(!Signature.isSigned(signed + "x", by: [key.trusted]))
        #expect(!Signature.isSigned(signed + "more y\n", by: [key.trusted]))
        let moved = signed.replacing("name boot/x", with: "name boot/y")
        #expect(Manifest(moved) != nil && !Signature.isSigned(moved, by: [key.trusted]))
        let again = try PeerNode.SigningKey(" \(key.text)\n")
        #expect(Signature.isSigned(signed, by: [try PeerNode.TrustedKey(again.trusted.text)]))
        #expect(throws: PeerNode.InvalidKey.self) { try PeerNode.SigningKey("x") }
        #expect(throws: PeerNode.InvalidKey.self) { try PeerNode.TrustedKey("") }
    }
}
