internal import ArgumentParser
internal import TFTPCore
internal import TFTPLoad
internal import TFTPShard

/// `tftp://HOST[:PORT]/NAME` (RFC 3617), HOST a name or an address.
struct TFTPURL: ExpressibleByArgument {
    var server: Endpoint
    var name: String

    init?(argument: String) {
        let scheme = "tftp://"
        guard argument.lowercased().hasPrefix(scheme) else { return nil }
        let rest = argument.dropFirst(scheme.count)
        guard let slash = rest.firstIndex(of: "/") else { return nil }
        let host = String(rest[..<slash])
        name = String(rest[rest.index(after: slash)...])
        guard !name.isEmpty, let server = Endpoint(resolving: host, defaultPort: 69) else {
            return nil
        }
        self.server = server
    }
}

/// `KIND[:SHARE]`.
struct ClientShare: ExpressibleByArgument {
    var kind: ClientKind
    var share: Int

    init?(argument: String) {
        let parts = argument.split(separator: ":", maxSplits: 1)
        guard let first = parts.first, let kind = ClientKind(rawValue: String(first)) else {
            return nil
        }
        self.kind = kind
        guard parts.count == 2 else {
            share = 1
            return
        }
        guard let share = Int(parts[1]), share > 0 else { return nil }
        self.share = share
    }

    static var allValueStrings: [String] { ClientKind.allCases.map(\.rawValue) }
}

/// `NAME[:WEIGHT]`.
struct WeightedName: ExpressibleByArgument {
    var name: String
    var weight: Int

    init?(argument: String) {
        let parts = argument.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        name = String(parts[0])
        weight = 1
        guard parts.count == 2 else { return }
        guard let weight = Int(parts[1]), weight > 0 else { return nil }
        self.weight = weight
    }
}
