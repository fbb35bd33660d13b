internal import ArgumentParser
internal import FoundationEssentials
internal import TFTPClient
internal import TFTPPeer
internal import TFTPServer

/// What `serve` takes to share files with other nodes.
struct PeerOptions: ParsableArguments {
    @Option(
        help: .init(
            """
            tftp://HOST[:PORT]: peer to fetch missing files from; repeatable. All addresses of a host name are used, and a \
            name such as _tftp._udp.example.net stands for the hosts of its SRV record.
            """, valueName: "url"))
    var peer: [PeerAddress] = []

    @Option(
        help: .init(
            "tftp://, http://, https:// or s3://BUCKET/ URL to fetch files from that no peer has; repeatable.",
            valueName: "url"),
        transform: { try PeerNode.Origin($0) })
    var origin: [PeerNode.Origin] = []

    @Flag(
        help:
            "Announce this node on its links (multicast 239.255.69.69 and ff15::6969:6969), and use others there as peers."
    )
    var announce = false

    @Flag(help: "Share the folder's files with nodes that have this one as a peer or an origin.")
    var share = false

    @Option(
        help: .init(
            "File with the key that signs the list of this node's files; see 'sign-key'.",
            valueName: "file"))
    var signKey: String?

    @Option(
        help: .init(
            "Take files from peers only if this public key has signed them; repeatable.",
            valueName: "public-key"),
        transform: { try PeerNode.TrustedKey($0) })
    var trust: [PeerNode.TrustedKey] = []

    @Flag(help: "Refuse files that a client's snapshot lacks without asking peers or origins.")
    var closed = false

    @Flag(help: "Take files from the origins alone, and from no peer.")
    var trustOrigin = false

    @OptionGroup(title: "Origins") var access: OriginOptions

    var isNode: Bool { share || announce || signKey != nil || !peer.isEmpty || !origin.isEmpty }

    /// Whether files may come from others.
    var fetches: Bool { announce || !peer.isEmpty || !origin.isEmpty }

    func validate() throws {
        if trustOrigin, origin.isEmpty {
            throw ValidationError(
                "--trust-origin takes files from origins; name one with --origin.")
        }
        if !trust.isEmpty, peer.isEmpty, !announce {
            throw ValidationError("--trust needs peers; name them with --peer, or give --announce.")
        }
    }

    /// For a node that serves `root` and listens there.
    func configuration(
        root: String, listen: [TFTPServer.ListenAddress]
    ) throws -> PeerNode.Configuration {
        let port = listen.first?.port ?? 69
        guard !announce || port != 0 else {
            throw ValidationError(
                "--announce needs a fixed port; give --listen a port other than 0.")
        }
        var configuration = PeerNode.Configuration(root: root)
        configuration.peers = peer.map(\.server)
        configuration.origins = origin
        configuration.originAccess = try access.access(
            environment: ProcessInfo.processInfo.environment)
        configuration.announcedPort = announce ? port : nil
        // Others query one port.
        configuration.announcedAddresses = listen.filter { $0.port == port }
        configuration.trustedKeys = trust
        configuration.trustsOriginsOnly = trustOrigin
        configuration.isClosed = closed
        configuration.signingKey = try signKey.map { file in
            try SecretFile(file).parsed { try PeerNode.SigningKey($0) }
        }
        return configuration
    }
}

/// `tftp://HOST[:PORT]`, or HOST[:PORT] alone.
struct PeerAddress: ExpressibleByArgument {
    let server: TFTPClient.Server

    init?(argument: String) {
        let scheme = "tftp://"
        var text = argument[...]
        if text.lowercased().hasPrefix(scheme) { text = text.dropFirst(scheme.count) }
        if text.hasSuffix("/") { text = text.dropLast() }
        guard !text.contains("/"), let server = try? TFTPClient.Server(String(text)) else {
            return nil
        }
        self.server = server
    }
}
