internal import FoundationEssentials
internal import TFTPFetch

internal import struct Crypto.HMAC
internal import struct Crypto.SHA256
internal import struct Crypto.SymmetricKey

/// What requests to an S3 service are signed with.
struct S3Key: Sendable {
    let id: String
    let secret: String
    /// Of a key that is lent for a while.
    var sessionToken: String?

    /// The fields that a request for `url` is signed with: AWS Signature Version 4.
    ///
    /// - Parameters:
    ///   - digest: SHA-256 of the body, in hexadecimal digits.
    ///   - date: when it is sent; services refuse one that is a quarter of an hour away.
    func fields(
        for url: WebURL, method: String = "GET", digest: String = "\(Digest(of: []))",
        region: String, at date: Date
    ) -> [(name: String, value: String)] {
        let time = date.formatted(
            Date.ISO8601FormatStyle(dateSeparator: .omitted, timeSeparator: .omitted))
        let day = String(time.prefix(8))
        var fields = [
            ("host", url.hostField), ("x-amz-content-sha256", digest), ("x-amz-date", time),
        ]
        if let sessionToken { fields.append(("x-amz-security-token", sessionToken)) }
        let names = fields.map(\.0).joined(separator: ";")
        let canonical =
            "\(method)\n\(url.path)\n\(url.query ?? "")\n"
            + fields.map { "\($0.0):\($0.1)\n" }.joined() + "\n\(names)\n\(digest)"
        let scope = "\(day)/\(region)/s3/aws4_request"
        let text = "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(Digest(of: canonical.utf8))"
        var key = Array("AWS4\(secret)".utf8)
        for word in [day, region, "s3", "aws4_request", text] { key = S3Key.code(word, by: key) }
        let signature = key.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(id)/\(scope), SignedHeaders=\(names), Signature=\(signature)"
        return fields.dropFirst().map { ($0.0, $0.1) } + [("Authorization", authorization)]
    }

    private static func code(_ text: String, by key: [UInt8]) -> [UInt8] {
        Array(
            HMAC<SHA256>.authenticationCode(
                for: Data(text.utf8), using: SymmetricKey(data: key)))
    }
}

/// A bucket of an S3 service, and a folder in it.
struct S3Bucket: Hashable, Sendable {
    let name: String
    /// Empty, or ends with a slash.
    let folder: String

    /// Reads `s3://BUCKET[/PREFIX]`; nil for anything else.
    init?(_ text: String) {
        guard text.lowercased().hasPrefix("s3://") else { return nil }
        let parts = text.dropFirst("s3://".count).split(
            separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, !first.isEmpty,
            first.utf8.allSatisfy({ S3Bucket.signs.contains($0) })
        else { return nil }
        name = String(first)
        let rest = parts.count == 2 ? String(parts[1]) : ""
        folder = rest.isEmpty || rest.hasSuffix("/") ? rest : rest + "/"
    }

    private static let signs = Array(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_".utf8)

    /// Where its objects are: below the endpoint, or at Amazon's.
    ///
    /// - Throws: `PeerNode.InvalidAccess.endpoint`.
    func url(_ access: PeerNode.OriginAccess) throws(PeerNode.InvalidAccess) -> WebURL {
        let host = "s3.\(access.s3Region).amazonaws.com"
        // A certificate for `*.s3…` is not good for a name with more dots.
        let isHost = !name.contains(".") && access.s3Endpoint == nil
        let text = access.s3Endpoint ?? (isHost ? "https://\(name).\(host)" : "https://\(host)")
        guard var url = WebURL(text), url.query == nil else { throw .endpoint(text) }
        if !url.path.hasSuffix("/") { url.path += "/" }
        if !isHost { url.path += "\(name)/" }
        url.path += folder.split(separator: "/").map { S3Bucket.encoded($0) + "/" }.joined()
        return url
    }

    /// As a signature wants a path to be written.
    static func encoded(_ segment: Substring) -> String {
        WebURL.encoded(segment, except: "-._~")
    }
}

extension S3Bucket {
    private static let errorByteCountMax = 4 << 10
    private static let errorPatience = Duration.milliseconds(300)

    /// What an S3 service says why it sends no file; nil for a missing file, and where it says
    /// nothing.
    static func errorCode(_ answer: WebAnswer, _ status: Int) async throws -> String? {
        guard [301, 400, 401, 403, 404].contains(status) else { return nil }
        var bytes: [UInt8] = []
        let end = ContinuousClock.now + errorPatience
        do {
            while bytes.count < errorByteCountMax,
                let more = try await answer.next(within: max(.zero, end - .now))
            {
                bytes += more
            }
        } catch let error as CancellationError {
            throw error
        } catch {
            // What has come has to do.
        }
        let code = errorCode(String(decoding: bytes.prefix(errorByteCountMax), as: UTF8.self))
        return code == "NoSuchKey" ? nil : code
    }

    /// The text of the element `Code`: one word.
    static func errorCode(_ text: String) -> String? {
        guard let start = text.firstRange(of: "<Code>")?.upperBound,
            let end = text[start...].firstRange(of: "</Code>")?.lowerBound
        else { return nil }
        let code = text[start..<end]
        let isWord =
            (1...64).contains(code.utf8.count)
            && code.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
        return isWord ? String(code) : nil
    }
}
