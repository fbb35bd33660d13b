internal import Foundation
internal import TFTPClient

extension PeerNode {
    /// Where files come from that no node has: a TFTP server, or an HTTP server.
    public struct Origin: Hashable, Sendable, CustomStringConvertible {
        enum Kind: Hashable, Sendable {
            case tftp(TFTPClient.Server, folder: String)
            case http(URL)
        }

        let kind: Kind
        /// As it was given.
        public let description: String

        /// Reads `tftp://HOST[:PORT][/FOLDER]`, `http://HOST[:PORT][/FOLDER]` or the same with `https`.
        ///
        /// - Throws: `InvalidOrigin` for anything else. Nothing is looked up yet.
        public init(_ text: String) throws(InvalidOrigin) {
            description = text
            let lower = text.lowercased()
            if lower.hasPrefix("http://") || lower.hasPrefix("https://") {
                guard let url = URL(string: text), url.host() != nil, url.query() == nil else {
                    throw InvalidOrigin(text: text)
                }
                kind = .http(url)
                return
            }
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

    /// What was given is no origin.
    public struct InvalidOrigin: Error, CustomStringConvertible {
        /// What was given.
        public let text: String

        /// One line that says what to give instead.
        public var description: String {
            "'\(text)' is no origin. Give tftp://HOST[:PORT][/FOLDER] or http://HOST[:PORT][/FOLDER]."
        }
    }
}
