import Testing

@testable import TFTPPeer

/// What another source has to begin with.
struct ResumePrefixTests {
    private static let handedOn = content(1000)

    private static func beginning() -> ResumePrefix.Beginning {
        var passed = ResumePrefix()
        for start in stride(from: 0, to: handedOn.count, by: 300) {
            passed.add(Array(handedOn[start..<min(start + 300, handedOn.count)]))
        }
        return passed.beginning
    }

    /// Only what is new comes through, wherever the pieces end.
    @Test(arguments: [1, 7, 500, 1000, 1500])
    func theSameBeginning(pieceByteCount: Int) throws {
        let sent = Self.handedOn + content(500, seed: 2)
        var beginning = Self.beginning()
        var rest: [UInt8] = []
        for start in stride(from: 0, to: sent.count, by: pieceByteCount) {
            let piece = Array(sent[start..<min(start + pieceByteCount, sent.count)])
            rest += try beginning.rest(of: piece)
        }
        #expect(rest == content(500, seed: 2))
        #expect(beginning.isComplete)
    }

    /// A source that sends less than has been delivered has another file.
    @Test func lessThanTheBeginning() throws {
        var beginning = Self.beginning()
        let rest = try beginning.rest(of: Array(Self.handedOn.dropLast()))
        #expect(rest.isEmpty && !beginning.isComplete)
    }

    @Test(arguments: [0, 500, 999])
    func anotherBeginning(offset: Int) {
        var sent = Self.handedOn + [1, 2, 3]
        sent[offset] ^= 1
        var beginning = Self.beginning()
        #expect(throws: SourceFailure.self) { try beginning.rest(of: sent) }
    }
}
