internal import FoundationEssentials

extension PeerNode {
    /// What web servers are shown and asked with.
    public struct OriginAccess: Sendable {
        /// Where a server may send this node on to.
        public enum Redirects: String, Sendable, CaseIterable {
            /// To another path of its own, or from `http` to `https` at the standard ports of the
            /// same host.
            case same
            /// To any host. What a server says is then asked of hosts that only this node may
            /// reach.
            case any
        }

        /// A field of every request.
        public struct Field: Hashable, Sendable {
            public let name: String
            public let value: String

            /// Reads `Name: value`.
            ///
            /// - Throws: `InvalidAccess.field` for what is not a field (RFC 9110 §5).
            public init(_ text: String) throws(InvalidAccess) {
                let parts = text.split(separator: ":", maxSplits: 1)
                let name = parts.first.map(String.init) ?? ""
                guard parts.count == 2, Field.isToken(name) else { throw .field }
                var value = parts[1].drop { $0 == " " || $0 == "\t" }
                while let last = value.last, last.isWhitespace { value.removeLast() }
                guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { throw .field }
                self.name = name
                self.value = String(value)
            }

            private static func isToken(_ name: String) -> Bool {
                !name.isEmpty
                    && name.utf8.allSatisfy { byte in
                        byte > 0x20 && byte < 0x7F && !"\"(),/:;<=>?@[\\]{}".utf8.contains(byte)
                    }
            }
        }

        /// What one server, or one folder of it, requires for authentication.
        public struct Credential: Sendable {
            enum Kind: Sendable {
                /// The value of `Authorization`.
                case authorization(String)
                case s3(S3Key)
            }

            /// The URL that it is for begins with this; ends with a slash.
            let prefix: String
            let kind: Kind

            func isFor(_ url: String) -> Bool {
                url.lowercased().hasPrefix(prefix) || "\(url)/".lowercased() == prefix
            }
        }

        /// PEM: the certificates of the authorities that are believed, instead of those of the
        /// system.
        public var authorityFile: String?
        /// PEM: the certificate that this node shows, and those that it was made with.
        public var certificateFile: String?
        /// PEM: its key; nil where it is in the same file.
        public var keyFile: String?
        public var redirects = Redirects.same
        public var fields: [Field] = []
        public var credentials: [Credential] = []
        /// Of S3: where buckets are that are not Amazon's.
        public var s3Endpoint: String?
        /// Of S3: what requests are signed for.
        public var s3Region = "us-east-1"

        /// What is in the files, once `readFiles` has read them.
        private(set) var contents: Contents?

        /// PEM.
        struct Contents: Sendable {
            var authority: [UInt8]?
            var certificate: [UInt8]?
            var key: [UInt8]?
        }

        public init() {}

        /// Reads the files now, for a process that will not be allowed to later; otherwise they are
        /// read when a node is made.
        ///
        /// - Throws: `InvalidAccess` for a file that cannot be read.
        public mutating func readFiles() throws(InvalidAccess) {
            func read(_ path: String?, _ failure: (String) -> InvalidAccess) throws(InvalidAccess)
                -> [UInt8]?
            {
                guard let path else { return nil }
                guard let data = FileManager.default.contents(atPath: path) else {
                    throw failure(path)
                }
                return Array(data)
            }
            contents = Contents(
                authority: try read(authorityFile) { .authority(path: $0) },
                certificate: try read(certificateFile) { .certificate(path: $0) },
                key: try read(keyFile ?? certificateFile) { .key(path: $0) })
        }

        /// Reads credentials, one a line; empty lines and those that begin with `#` say nothing:
        ///
        ///     https://mirror.example.net/boot/  basic   USER:PASSWORD
        ///     https://registry.example.net/     bearer  TOKEN
        ///     s3://images/                      key     ACCESS-KEY SECRET-KEY [SESSION-TOKEN]
        ///
        /// - Throws: `InvalidAccess.credential` with the number of the line.
        public static func credentials(_ text: String) throws(InvalidAccess) -> [Credential] {
            var credentials: [Credential] = []
            for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
                .enumerated()
            {
                let words = line.split { $0.isWhitespace }.map(String.init)
                guard let first = words.first, !first.hasPrefix("#") else { continue }
                guard let credential = Credential(words) else {
                    throw .credential(line: index + 1)
                }
                credentials.append(credential)
            }
            return credentials
        }

        /// The credential for a URL: the one with the longest beginning.
        func credential(for url: String) -> Credential? {
            credentials.filter { $0.isFor(url) }.max { $0.prefix.count < $1.prefix.count }
        }
    }

    /// A certificate, key or field for web servers is unusable.
    public enum InvalidAccess: Error, Hashable, Sendable, CustomStringConvertible {
        case authority(path: String)
        case certificate(path: String)
        case key(path: String)
        case field
        case credential(line: Int)
        case endpoint(String)

        /// One line.
        public var description: String {
            switch self {
            case .authority(let path): "'\(path)' cannot be read or has no certificate in PEM"
            case .certificate(let path): "'\(path)' cannot be read or has no certificate in PEM"
            case .key(let path): "'\(path)' cannot be read or has no private key in PEM"
            case .field: "a header field is written 'Name: value', in one line"
            case .credential(let line):
                "line \(line) is not 'URL basic USER:PASSWORD', 'URL bearer TOKEN' or"
                    + " 's3://BUCKET/ key ACCESS-KEY SECRET-KEY'"
            case .endpoint(let text): "'\(text)' is not an http or https URL"
            }
        }
    }
}

extension PeerNode.OriginAccess.Credential {
    /// Nil for what is none.
    fileprivate init?(_ words: [String]) {
        guard words.count >= 3, words[0].contains("://") else { return nil }
        var prefix = words[0].lowercased()
        if !prefix.hasSuffix("/") { prefix += "/" }
        self.prefix = prefix
        switch (words[1], words.count) {
        case ("basic", 3): kind = .authorization(Self.basic(words[2]))
        case ("bearer", 3): kind = .authorization("Bearer \(words[2])")
        case ("key", 4), ("key", 5):
            kind = .s3(
                S3Key(
                    id: words[2], secret: words[3], sessionToken: words.count > 4 ? words[4] : nil))
        default: return nil
        }
    }

    /// RFC 7617.
    static func basic(_ userInfo: String) -> String {
        "Basic \(Data(userInfo.utf8).base64EncodedString())"
    }
}
