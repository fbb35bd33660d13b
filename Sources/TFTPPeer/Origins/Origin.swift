internal import FoundationEssentials
internal import TFTPClient

extension PeerNode {
    /// Where files come from that no node has: a TFTP server, a web server or an S3 bucket.
    public struct Origin: Hashable, Sendable, CustomStringConvertible {
        enum Kind: Hashable, Sendable {
            case tftp(TFTPClient.Server, folder: String)
            case http(WebURL)
            case s3(S3Bucket)
        }

        let kind: Kind
        /// As it was given, without a password.
        public let description: String

        /// Reads `tftp://HOST[:PORT][/FOLDER]`, `http://HOST[:PORT][/FOLDER]`, the same with
        /// `https`, or `s3://BUCKET[/PREFIX]`. The scheme may be in any case.
        ///
        /// - Throws: `InvalidOrigin` for anything else. Nothing is looked up yet.
        public init(_ text: String) throws(InvalidOrigin) {
            let lower = text.lowercased()
            if lower.hasPrefix("http://") || lower.hasPrefix("https://") {
                guard let url = WebURL(text), url.query == nil else {
                    throw InvalidOrigin(text: text)
                }
                kind = .http(url)
                // A password is not for the log.
                description = url.userInfo == nil ? text : url.text
                return
            }
            if lower.hasPrefix("s3://") {
                guard let bucket = S3Bucket(text) else { throw InvalidOrigin(text: text) }
                kind = .s3(bucket)
                description = text
                return
            }
            description = text
            let scheme = "tftp://"
            guard lower.hasPrefix(scheme) else { throw InvalidOrigin(text: text) }
            let parts = text.dropFirst(scheme.count).split(
                separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            let folder = parts.count == 2 ? String(parts[1]) : ""
            do throws(TFTPClient.Failure) {
                kind = .tftp(
                    try TFTPClient.Server(String(parts[0])),
                    folder: folder.isEmpty || folder.hasSuffix("/") ? folder : folder + "/")
            } catch {
                throw InvalidOrigin(text: text)
            }
        }
    }

    /// The text is not a valid origin.
    public struct InvalidOrigin: Error, CustomStringConvertible {
        /// What was given, without a user and a password.
        public let text: String

        init(text: String) { self.text = InvalidOrigin.withoutUser(text) }

        /// Leaves out what stands between the scheme and the last `@` before the path.
        private static func withoutUser(_ text: String) -> String {
            guard let scheme = text.firstRange(of: "://") else {
                return text.contains("@") ? String(text.drop { $0 != "@" }) : text
            }
            let rest = text[scheme.upperBound...]
            // A password may have a slash in it that should have been written as %2F.
            guard let at = rest.lastIndex(of: "@") else { return text }
            return String(text[..<scheme.upperBound]) + rest[rest.index(after: at)...]
        }

        /// One line that says what to give instead.
        public var description: String {
            "'\(text)' is not an origin: give tftp://HOST[:PORT][/FOLDER], http://HOST[:PORT][/FOLDER],"
                + " https://HOST[:PORT][/FOLDER] or s3://BUCKET[/PREFIX]"
        }
    }
}
