internal import FoundationEssentials

/// An `http` or `https` URL in parts. Paths are kept as they are written in requests:
/// percent-encoded.
struct WebURL: Hashable, Sendable {
    enum Scheme: String, Sendable {
        case http
        case https

        var defaultPort: UInt16 { self == .http ? 80 : 443 }
    }

    /// The host of a URL, which a redirect must not leave.
    struct Site: Hashable, Sendable {
        var scheme: Scheme
        /// In lower case; an IPv6 address without brackets.
        var host: String
        var port: UInt16
    }

    var site: Site
    /// Begins with a slash.
    var path: String
    /// What stands behind the `?`; nil where there is none.
    var query: String?
    /// `user:password`, which no text of this URL has.
    var userInfo: String?

    /// Reads an absolute URL; nil for what is not one of `http` or `https` (in any case, RFC 3986
    /// §3.1).
    init?(_ text: String) {
        guard let url = URL(string: text) else { return nil }
        self.init(url)
    }

    private init?(_ url: URL) {
        guard let parts = URLComponents(url: url.absoluteURL, resolvingAgainstBaseURL: true),
            let scheme = parts.scheme.flatMap({ Scheme(rawValue: $0.lowercased()) }),
            var host = parts.host?.lowercased(), !host.isEmpty
        else { return nil }
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard let port = UInt16(exactly: parts.port ?? Int(scheme.defaultPort)), port > 0 else {
            return nil
        }
        site = Site(scheme: scheme, host: host, port: port)
        path = parts.percentEncodedPath.isEmpty ? "/" : parts.percentEncodedPath
        query = parts.percentEncodedQuery
        userInfo = parts.user.map { "\($0):\(parts.password ?? "")" }
    }

    init(site: Site, path: String) {
        self.site = site
        self.path = path
    }

    /// The URL of a file below this one; nil for a name that would lead elsewhere, or is none.
    ///
    /// - Parameter encoder: how a segment of the name is written.
    func appending(_ name: String, encoder: (Substring) -> String = WebURL.encoded) -> WebURL? {
        let segments = name.split(separator: "/").filter { $0 != "." }
        // A server may take what stands before a semicolon for the segment.
        let leadsOut = segments.contains { $0.prefix { $0 != ";" } == ".." }
        guard !segments.isEmpty, !leadsOut, name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { return nil }
        var new = self
        if !new.path.hasSuffix("/") { new.path += "/" }
        new.path += segments.map(encoder).joined(separator: "/")
        return new
    }

    /// Where a `Location` field leads from here (RFC 9110 §10.2.2); nil for anything but `http` and
    /// `https`.
    func resolved(_ location: String) -> WebURL? {
        guard let base = URL(string: text), let url = URL(string: location, relativeTo: base) else {
            return nil
        }
        return WebURL(url)
    }

    /// Whether both name the same thing but for a slash at the end, which is how a folder answers.
    func isFolder(of other: WebURL) -> Bool {
        site.host == other.site.host && path == other.path + "/" && query == other.query
    }

    /// Percent-encodes all but what RFC 3986 §3.3 lets stand in a segment and no server takes for a
    /// sign of its own.
    static func encoded(_ segment: Substring) -> String {
        encoded(segment, except: "-._~:@")
    }

    /// Percent-encodes all but letters, digits and `signs`.
    static func encoded(_ text: some StringProtocol, except signs: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            case _ where signs.utf8.contains(byte):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                result += byte < 16 ? "%0" : "%"
                result += String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }

    /// As it is requested.
    var text: String {
        "\(site.scheme.rawValue)://\(hostField)\(path)\(query.map { "?" + $0 } ?? "")"
    }

    /// The value of the field `Host` (RFC 9112 §3.2).
    var hostField: String {
        let host = site.host.contains(":") ? "[\(site.host)]" : site.host
        return site.port == site.scheme.defaultPort ? host : "\(host):\(site.port)"
    }
}
