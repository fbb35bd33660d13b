import Foundation
import Testing

@testable import TFTPPeer

/// The URLs of requests to web servers.
@Suite struct WebURLTests {
    static func below(_ base: String, _ name: String) throws -> String? {
        try #require(WebURL(base)).appending(name)?.text
    }

    @Test func filesBelowAFolder() throws {
        #expect(try Self.below("http://host/boot", "a/b c") == "http://host/boot/a/b%20c")
        #expect(try Self.below("HTTP://Host:8080/boot/", "f") == "http://host:8080/boot/f")
        #expect(try Self.below("https://[FD00::1]/", "f") == "https://[fd00::1]/f")
        #expect(try Self.below("http://h", "a?b#c%2f") == "http://h/a%3Fb%23c%252f")
        #expect(
            try Self.below("http://h/v2/x/blobs", "sha256:ab") == "http://h/v2/x/blobs/sha256:ab")
        #expect(try Self.below("http://h/", "ü") == "http://h/%C3%BC")
    }

    @Test(arguments: ["..", "../x", "a/../x", "..;/x", "a\u{1}", "", "/", "a\r\nX: 1"])
    func namesThatLeadElsewhere(name: String) throws {
        #expect(try Self.below("http://h/boot/", name) == nil)
    }

    @Test(arguments: ["ftp://h/", "http:///", "http://h:0/", "http://h:99999/", "h", ""])
    func whatIsNoURL(text: String) { #expect(WebURL(text) == nil) }

    @Test func whereAServerLeads() throws {
        let url = try #require(WebURL("http://h:81/boot/x"))
        #expect(url.resolved("/y?z=1")?.text == "http://h:81/y?z=1")
        #expect(url.resolved("y")?.text == "http://h:81/boot/y")
        #expect(url.resolved("https://other/y")?.text == "https://other/y")
        #expect(url.resolved("file:///etc/passwd") == nil)
        #expect(url.resolved("x/")?.isFolder(of: url) == true)
    }

    /// Passwords are for the server, not for the log.
    @Test func aPasswordIsNotText() throws {
        let origin = try PeerNode.Origin("https://user:secret@h/boot/")
        #expect(origin.description == "https://h/boot/")
        guard case .http(let url) = origin.kind else {
            Issue.record("not a web server")
            return
        }
        #expect(url.userInfo == "user:secret")
    }

    @Test func whenToAskAgain() throws {
        let now = Date(timeIntervalSince1970: 784_111_770)
        #expect(RetryAfter("7", now: now)?.delay == .seconds(7))
        #expect(RetryAfter("Sun, 06 Nov 1994 08:49:37 GMT", now: now)?.delay == .seconds(7))
        #expect(RetryAfter("Sun, 06 Nov 1994 08:49:00 GMT", now: now)?.delay == .zero)
        #expect(RetryAfter("soon", now: now) == nil)
        #expect(RetryAfter("9223372036854775807", now: now)?.delay == .seconds(86_400))
        for date in [
            "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 9223372036854775807 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:9223372036854775807 GMT",
        ] { #expect(RetryAfter(date, now: now) == nil) }
        #expect(RetryAfter("-1", now: now) == nil)
    }

    /// This machine's clock is a day behind the server's, or ahead of it.
    @Test(arguments: [-86_400, 86_400])
    func whenToAskAgainByAnotherClock(seconds: Double) {
        let now = Date(timeIntervalSince1970: 784_111_770 + seconds)
        let retry = RetryAfter(
            "Sun, 06 Nov 1994 08:49:37 GMT", answered: "Sun, 06 Nov 1994 08:49:30 GMT", now: now)
        #expect(retry?.delay == .seconds(7))
    }

    /// A window with too few bytes is noticed, whatever the pieces are.
    @Test func tooLittleInTime() {
        var floor = RateFloor()
        let isTooSlow = [(100, 1), (100, 1), (100, 2), (RateFloor.byteCountMin, 4)].map {
            floor.add($0, in: .seconds($1))
        }
        #expect(isTooSlow == [false, false, true, false])
    }
}

/// Requests to S3, and the other things that servers are shown.
@Suite struct OriginAccessTests {
    /// The example "GET Object" of Amazon's documentation of Signature Version 4, but for the field
    /// Range, which is not signed here: the value was computed with botocore.
    @Test func theSignature() throws {
        let key = S3Key(
            id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        let url = try #require(WebURL("https://examplebucket.s3.amazonaws.com/test.txt"))
        let fields = key.fields(
            for: url, region: "us-east-1", at: Date(timeIntervalSince1970: 1_369_353_600))
        let authorization = try #require(fields.first { $0.name == "Authorization" }).value
        #expect(
            authorization
                == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                + "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
                + "Signature=df548e2ce037944d03f3e68682813b093763996d597cf890ca3d9037fd231eb4")
        #expect(fields.contains { $0.name == "x-amz-date" && $0.value == "20130524T000000Z" })
    }

    @Test func whereBucketsAre() throws {
        let bucket = try #require(S3Bucket("S3://images/boot"))
        var access = PeerNode.OriginAccess()
        #expect(try bucket.url(access).text == "https://images.s3.us-east-1.amazonaws.com/boot/")
        access.s3Endpoint = "http://minio:9000"
        #expect(try bucket.url(access).text == "http://minio:9000/images/boot/")
        access.s3Endpoint = "minio"
        #expect(throws: PeerNode.InvalidAccess.endpoint("minio")) { try bucket.url(access) }
        #expect(S3Bucket("s3:///x") == nil)
        #expect(S3Bucket("s3://a b/") == nil)
    }

    @Test func credentials() throws {
        let credentials = try PeerNode.OriginAccess.credentials(
            """
            # mirrors
            https://mirror/ basic user:password

            https://mirror/deep bearer token
            s3://images key ID SECRET
            """)
        #expect(credentials.count == 3)
        var access = PeerNode.OriginAccess()
        access.credentials = credentials
        guard
            case .authorization("Basic dXNlcjpwYXNzd29yZA==") =
                access.credential(for: "https://mirror/x")?.kind
        else {
            Issue.record("not the password")
            return
        }
        guard
            case .authorization("Bearer token") =
                access.credential(for: "https://mirror/deep/x")?.kind
        else {
            Issue.record("not the token of the longer beginning")
            return
        }
        #expect(access.credential(for: "https://mirror.evil/x") == nil)
        #expect(throws: PeerNode.InvalidAccess.credential(line: 2)) {
            try PeerNode.OriginAccess.credentials("# x\nhttps://h/ digest x")
        }
    }

    @Test func fields() throws {
        let field = try PeerNode.OriginAccess.Field("X-Token:  a b ")
        #expect(field.name == "X-Token" && field.value == "a b")
        for text in ["X", ": y", "a b: c", "X: a\r\nY: b"] {
            #expect(throws: PeerNode.InvalidAccess.field) {
                try PeerNode.OriginAccess.Field(text)
            }
        }
    }
}
