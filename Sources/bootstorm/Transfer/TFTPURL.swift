internal import ArgumentParser
internal import TFTPClient
internal import TFTPCore
internal import TFTPReactor

/// `tftp://HOST[:PORT]/NAME` (RFC 3617) or `HOST[:PORT]/NAME`, HOST a name or an address; not
/// looked up yet.
struct RemoteFile: ExpressibleByArgument {
    /// `HOST[:PORT]`, as it was given.
    var host: String
    /// As the server is asked for it.
    var name: String
    /// What a URL says behind the name, in lower case; nil when it says nothing.
    private var modeName: String?

    init?(argument: String) {
        let scheme = "tftp://"
        let isURL = argument.lowercased().hasPrefix(scheme)
        let rest = isURL ? argument.dropFirst(scheme.count) : argument[...]
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        // Another scheme is not a host.
        let isOtherScheme = rest[..<slash].hasSuffix(":") && rest[slash...].hasPrefix("//")
        guard slash != rest.startIndex, !isOtherScheme else { return nil }
        host = String(rest[..<slash])
        let path = String(rest[slash...].dropFirst())
        // RFC 3617 has the mode behind the name.
        let (bare, mode) = isURL ? RemoteFile.splitAtMode(path) : (path, nil)
        modeName = mode
        name = isURL ? RemoteFile.decoded(bare) ?? bare : bare
    }

    var server: TFTPClient.Server {
        get throws(TFTPClient.Failure) { try TFTPClient.Server(host) }
    }

    /// The last part of the name, which is what it is called here.
    var lastComponent: String { name.split(separator: "/").last.map(String.init) ?? "" }

    /// Whether the URL says anything of a mode.
    var hasMode: Bool { modeName != nil }

    /// The mode that the URL asks for; nil when it leaves that to the flags.
    var mode: TFTPClient.Options.Mode? {
        switch modeName {
        case "octet": .octet
        case "netascii": .netascii
        default: nil
        }
    }

    /// Refuses a mode that there is not: the file would come in another than was asked for.
    func checkMode() throws {
        guard let modeName, mode == nil else { return }
        throw ValidationError("';mode=\(modeName)': a mode is octet or netascii.")
    }

    private static func splitAtMode(_ path: String) -> (name: String, mode: String?) {
        guard let semicolon = path.lastIndex(of: ";") else { return (path, nil) }
        let parameter = path[semicolon...].lowercased()
        let prefix = ";mode="
        guard parameter.hasPrefix(prefix) else { return (path, nil) }
        return (String(path[..<semicolon]), String(parameter.dropFirst(prefix.count)))
    }

    /// Decodes `%20` and the like; nil if the result is not UTF-8.
    private static func decoded(_ text: String) -> String? {
        guard text.contains("%") else { return text }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2)
            if byte == UInt8(ascii: "%"), digits.count == 2,
                digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// `HOST[:PORT]/NAME`, with or without `tftp://`: one file to measure with.
struct TFTPURL: ExpressibleByArgument {
    /// HOST[:PORT].
    var host: String
    var name: String

    init?(argument: String) {
        guard let remote = RemoteFile(argument: argument), !remote.name.isEmpty else { return nil }
        // What is measured is octet.
        guard remote.mode == .octet || !remote.hasMode else { return nil }
        host = remote.host
        name = remote.name
    }

    /// Where the server is. Waits for the resolver.
    func resolved() throws(BenchError) -> Endpoint {
        guard let server = Endpoint(resolving: host, defaultPort: 69) else { throw .noHost(host) }
        let address = server.address
        guard server.port != 0, !address.isUnspecified, !address.isMulticastOrBroadcast else {
            throw .noServer(host)
        }
        return server
    }
}
