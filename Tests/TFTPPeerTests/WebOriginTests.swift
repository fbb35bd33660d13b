import Foundation
import TFTPClient
import Testing

@testable import TFTPFetch
@testable import TFTPPeer

/// HTTP servers as origins.
@Suite(.serialized, .timeLimit(.minutes(2))) struct WebOriginTests {
    static let image = content(3_000_000)

    /// A node whose origin is a web server with `files`.
    static func run(
        _ files: [String: WebServer.File], memory: Duration = .seconds(60),
        body: (WebServer, Group.Member) async throws -> Void
    ) async throws {
        let web = try WebServer(files)
        defer { web.stop() }
        try await Group.run(nodes: 1) { node, _ in
            node.origins = [try PeerNode.Origin(web.url)]
            node.memory = memory
        } body: { group in
            try await body(web, group.members[0])
        }
    }

    /// A source that asks `web`.
    static func source(
        _ web: WebServer, _ change: (inout PeerNode.OriginAccess) -> Void = { _ in }
    ) throws -> HTTPSource {
        var access = PeerNode.OriginAccess()
        change(&access)
        return HTTPSource(url: try #require(WebURL(web.url)), client: try WebClient(access))
    }

    static func get(_ name: String, from node: Group.Member) async throws -> [UInt8] {
        try await TFTPClient().get(name, from: node.address).bytes
    }

    @Test func manyClientsAreOneFetch() async throws {
        try await Self.run(["image": .init(bytes: Self.image), "empty": .init(bytes: [])]) {
            web, node in
            let group = try await withThrowingTaskGroup { tasks in
                for _ in 0..<4 { tasks.addTask { try await Self.get("image", from: node) } }
                return try await tasks.reduce(into: []) { $0.append($1) }
            }
            #expect(group == Array(repeating: Self.image, count: 4))
            #expect(web.byteCount == Self.image.count)
            let empty = try await Self.get("empty", from: node)
            #expect(empty == [])
            await #expect(throws: TFTPClient.Failure.self) {
                try await Self.get("other", from: node)
            }
        }
    }

    /// Not every server knows HEAD.
    @Test(arguments: [true, false])
    func aServerWithoutHEAD(hasRanges: Bool) async throws {
        let file = WebServer.File(bytes: Self.image, hasRanges: hasRanges, knowsHEAD: false)
        let empty = WebServer.File(bytes: [], hasRanges: false, knowsHEAD: false)
        try await Self.run(["image": file, "empty": empty]) { _, node in
            let image = try await Self.get("image", from: node)
            let empty = try await Self.get("empty", from: node)
            #expect(image == Self.image)
            #expect(empty == [])
            await #expect(throws: TFTPClient.Failure.notFound(name: "other")) {
                try await Self.get("other", from: node)
            }
        }
    }

    /// A file may lie elsewhere; a folder, which leads to itself, is nothing.
    @Test func whereItLeads() async throws {
        try await Self.run([
            "image": .init(bytes: Self.image), "moved": .init(bytes: [], location: "/image"),
            "folder": .init(bytes: [], location: "/folder/"),
        ]) { _, node in
            let moved = try await Self.get("moved", from: node)
            #expect(moved == Self.image)
            await #expect(throws: TFTPClient.Failure.notFound(name: "folder")) {
                try await Self.get("folder", from: node)
            }
        }
    }

    /// A proxy may pass over ranges: what is here already is left out of what it sends.
    @Test(arguments: [0, 5_000_000, 20_000_000] as [UInt64])
    func aRangeThatIsIgnored(offset: UInt64) async throws {
        let bytes = content(20_000_000)
        let web = try WebServer(["image": .init(bytes: bytes, ignoresRanges: true)])
        defer { web.stop() }
        let source = try Self.source(web)
        let version = try #require(try await source.look("image"))
        var got: [UInt8] = []
        try await source.copy("image", version, from: offset, by: .version) { got += $0 }
        #expect(got.elementsEqual(bytes[Int(offset)...]))
    }

    /// The rest of a file of unknown length, of which the server says that it is shorter than what
    /// is here.
    @Test func aRangeBeyondTheEnd() async throws {
        let web = try WebServer(["image": .init(bytes: content(30), statedSize: 10)])
        defer { web.stop() }
        let source = try Self.source(web)
        let version = FileVersion(size: nil, word: "http-\"1\"")
        await #expect(throws: SourceFailure.noRange) {
            try await source.copy("image", version, from: 20, by: .version) { _ in }
        }
        let nothing = try await source.part("image", version, 0..<0)
        #expect(nothing == [])
    }

    /// To look for a file and to copy it is one request.
    @Test func oneRequest() async throws {
        let web = try WebServer(["image": .init(bytes: Self.image)])
        defer { web.stop() }
        let source = try Self.source(web)
        let version = try #require(try await source.look("image"))
        var got: [UInt8] = []
        try await source.copy("image", version, from: 0, by: .version) { got += $0 }
        #expect(got == Self.image)
        #expect(web.requestCount == 1)
        #expect(try await source.look("image", unless: version) == version)
        #expect(web.byteCount == Self.image.count)
    }

    /// What a server calls a version has to fit into an offer.
    @Test func aLongTag() async throws {
        let file = WebServer.File(
            bytes: Self.image, tag: "\"" + String(repeating: "t", count: 3000) + "\"")
        try await Self.run(["image": file]) { web, node in
            #expect(try await Self.get("image", from: node) == Self.image)
            let version = try #require(try await Self.source(web).look("image"))
            #expect(version.word.utf8.count < 200)
        }
    }

    /// A client that leaves in mid-file ends the fetch at any moment, and the node continues.
    @Test func clientsThatGo() async throws {
        let large = content(48 << 20)
        try await Self.run(["image": .init(bytes: large), "kernel": .init(bytes: Self.image)]) {
            _, node in
            let client = try TFTPClient()
            var options = TFTPClient.Options()
            options.windowsize = 16
            for round in 1...40 {
                var left = round << 18
                for try await chunk in client.chunks("image", from: node.address, options: options)
                {
                    left -= chunk.count
                    if left <= 0 { break }
                }
            }
            let kernel = try await Self.get("kernel", from: node)
            #expect(kernel == Self.image)
        }
    }

    @Test func aServerWithoutRanges() async throws {
        try await Self.run(["image": .init(bytes: Self.image, hasRanges: false)]) { _, node in
            let got = try await Self.get("image", from: node)
            #expect(got == Self.image)
        }
    }

    /// Pieces of two versions do not become one file: what has begun is one answer, or breaks off.
    @Test func aFileThatChangesMeanwhile() async throws {
        let (before, after) = (content(24 << 20), content(24 << 20, seed: 2))
        try await Self.run(["image": .init(bytes: before)]) { web, node in
            var got: [UInt8] = []
            do {
                for try await chunk in try TFTPClient().chunks("image", from: node.address) {
                    if got.isEmpty {
                        web.change("image") { $0 = .init(bytes: after, tag: "\"2\"") }
                    }
                    got += chunk
                }
            } catch is TFTPClient.Failure {
                // It has broken off.
            }
            #expect(!got.isEmpty && got.elementsEqual(before.prefix(got.count)))
            let now = try await wait { (try? await Self.get("image", from: node)) == after }
            #expect(now)
        }
    }

    /// A server that tells no versions apart is asked again after a while, and never for a part of
    /// a file.
    @Test func aServerWithoutVersions() async throws {
        let (before, after) = (content(24 << 20), content(24 << 20, seed: 2))
        try await Self.run(
            ["image": .init(bytes: before, tag: nil)], memory: .milliseconds(100)
        ) { web, node in
            var got: [UInt8] = []
            for try await chunk in try TFTPClient().chunks("image", from: node.address) {
                if got.isEmpty { web.change("image") { $0.bytes = after } }
                got += chunk
            }
            #expect(got == before)
            let now = try await wait { (try? await Self.get("image", from: node)) == after }
            #expect(now)
        }
    }

    static let date = "Tue, 01 Dec 2026 03:00:00 GMT"

    /// A weak tag and a date may stand for two contents (RFC 9110 §8.8): parts of both do not
    /// become one file, and what breaks off goes on where it is the same content.
    @Test(arguments: ["W/\"e\"", nil, "e"], [true, false])
    func partsOfAWeakVersion(tag: String?, isOther: Bool) async throws {
        let after = content(Self.image.count, seed: 2)
        let file = WebServer.File(
            bytes: Self.image, tag: tag, lastModified: tag == nil ? Self.date : nil,
            breaks: [1_500_000], laterBytes: isOther ? after : nil)
        try await Self.run(["image": file]) { _, node in
            if isOther {
                await #expect(throws: TFTPClient.Failure.self) {
                    try await Self.get("image", from: node)
                }
                let now = try await wait { (try? await Self.get("image", from: node)) == after }
                #expect(now)
            } else {
                let got = try await Self.get("image", from: node)
                #expect(got == Self.image)
            }
        }
    }

    /// What breaks off goes on behind what has come, where the version is strong.
    @Test func partsOfAStrongVersion() async throws {
        let file = WebServer.File(bytes: Self.image, breaks: [1_500_000])
        try await Self.run(["image": file]) { web, node in
            let got = try await Self.get("image", from: node)
            #expect(got == Self.image)
            #expect(web.byteCount == Self.image.count)
        }
    }

    /// An origin that fails once is asked once more, where it is the only one.
    @Test(arguments: [
        WebServer.File(bytes: image, isChunked: true, breaks: [350_000]),
        WebServer.File(bytes: image, failures: [500]),
    ])
    func anOriginThatFailsOnce(file: WebServer.File) async throws {
        try await Self.run(["image": file]) { _, node in
            let got = try await Self.get("image", from: node)
            #expect(got == Self.image)
        }
    }

    /// The log says once a minute which origin does not send files, with the status and what to do.
    @Test(arguments: [
        (403, "status 403; check the credentials"), (401, "status 401; check the credentials"),
        (429, "it is busy (status 429)"), (503, "it is busy (status 503)"),
    ])
    func whatTheLogSaysOfAStatus(status: Int, text: String) async throws {
        let warnings = Warnings()
        let failures = Array(repeating: status, count: 200)
        let web = try WebServer(
            ["a": .init(bytes: [], failures: failures), "b": .init(bytes: [], failures: failures)])
        defer { web.stop() }
        try await Group.run(nodes: 1, logger: warnings.logger) { node, _ in
            node.origins = [try PeerNode.Origin(web.url)]
        } body: { group in
            for name in ["a", "b"] {
                await #expect(throws: TFTPClient.Failure.self) {
                    try await Self.get(name, from: group.members[0])
                }
            }
            let lines = warnings.all.filter { $0.contains(web.url) && $0.contains(text) }
            #expect(lines.count == 1, "\(warnings.all)")
        }
    }

    @Test(arguments: [
        ("<Error><Code>NoSuchBucket</Code></Error>", "NoSuchBucket"), ("<Code></Code>", nil),
        ("<Code>a b</Code>", nil), ("<Code>x", nil), ("", nil), ("</Code><Code>A</Code>", "A"),
    ])
    func whatAnS3ServiceSays(text: String, code: String?) {
        #expect(S3Bucket.errorCode(text) == code)
    }

    @Test(arguments: [
        ("handshakeFailed(… OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at x.cc:1)", "authority"),
        ("… OPENSSL_internal:WRONG_VERSION_NUMBER …", "does not speak TLS"),
        ("… SSL routines:OPENSSL_internal:TLSV1_ALERT_CERTIFICATE_REQUIRED", "client certificate"),
        ("… SSL routines:OPENSSL_internal:NO_SHARED_CIPHER at x.cc:7", ": NO_SHARED_CIPHER"),
        ("failedToValidateHostname", "other host names"), ("?", "the handshake failed"),
    ])
    func whyAConnectionIsNotSecure(text: String, reason: String) {
        let failure = SourceFailure.tls(.init(text))
        #expect("\(failure)".contains(reason))
        #expect(!"\(failure)".contains("OPENSSL"))
    }

    /// A part comes in one answer, of a server without ranges as the beginning of the whole.
    @Test(arguments: [true, false])
    func aPart(hasRanges: Bool) async throws {
        let web = try WebServer(["image": .init(bytes: Self.image, hasRanges: hasRanges)])
        defer { web.stop() }
        let source = try Self.source(web)
        let version = try #require(try await source.look("image"))
        let part = try await source.part("image", version, 1000..<1_500_000)
        #expect(part == Array(Self.image[1000..<1_500_000]))
    }
}
