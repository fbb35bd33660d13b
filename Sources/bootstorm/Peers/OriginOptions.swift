public import ArgumentParser
internal import FoundationEssentials
public import TFTPPeer

/// What `serve` shows the web servers among its origins.
struct OriginOptions: ParsableArguments {
    @Option(
        name: .customLong("origin-redirects"),
        help: .init(
            "Where an origin may redirect to: same (its own host) or any host.", valueName: "policy"
        ))
    var redirects = PeerNode.OriginAccess.Redirects.same

    @Option(
        name: .customLong("origin-ca"),
        help: .init(
            "PEM file of the certificate authorities to trust instead of the system's.",
            valueName: "file"),
        completion: .file())
    var authority: String?

    @Option(
        name: .customLong("origin-cert"),
        help: .init("PEM file of the client certificate to show.", valueName: "file"),
        completion: .file())
    var certificate: String?

    @Option(
        name: .customLong("origin-key"),
        help: .init(
            "PEM file of its private key. (default: the file of --origin-cert)", valueName: "file"),
        completion: .file())
    var key: String?

    @Option(
        name: .customLong("origin-header"),
        help: .init(
            "'Name: value' to send with every request, or @FILE to read it from; repeatable.",
            valueName: "field"))
    var headers: [String] = []

    @Option(
        name: .customLong("origin-auth"),
        help: .init(
            """
            File of credentials that only you can read, one a line: URL basic USER:PASSWORD, URL bearer TOKEN, or \
            s3://BUCKET/ key ACCESS-KEY SECRET-KEY.
            """, valueName: "file"),
        completion: .file())
    var credentials: String?

    @Option(
        name: .customLong("origin-s3-endpoint"),
        help: .init(
            "URL of the S3 service. (default: $AWS_ENDPOINT_URL, or Amazon's)", valueName: "url"))
    var endpoint: String?

    @Option(
        name: .customLong("origin-s3-region"),
        help: .init(
            "Region that S3 requests are signed for. (default: $AWS_REGION, or us-east-1)",
            valueName: "name"))
    var region: String?

    /// - Parameter environment: of this process; what S3's own tools read is read here.
    func access(environment: [String: String]) throws -> PeerNode.OriginAccess {
        var access = PeerNode.OriginAccess()
        access.redirects = redirects
        access.authorityFile = authority
        access.certificateFile = certificate
        access.keyFile = key
        access.fields = try headers.map { try field($0) }
        access.s3Endpoint = endpoint ?? environment["AWS_ENDPOINT_URL"]
        if let region = region ?? environment["AWS_REGION"] { access.s3Region = region }
        if let id = environment["AWS_ACCESS_KEY_ID"],
            let secret = environment["AWS_SECRET_ACCESS_KEY"]
        {
            let token = environment["AWS_SESSION_TOKEN"] ?? ""
            access.credentials = try PeerNode.OriginAccess.credentials(
                "s3:// key \(id) \(secret) \(token)")
        }
        if let credentials {
            access.credentials += try SecretFile(credentials).parsed {
                try PeerNode.OriginAccess.credentials($0)
            }
        }
        try readFiles(&access)
        return access
    }

    /// A key that others may read is refused, also one in the certificate's file.
    private func readFiles(_ access: inout PeerNode.OriginAccess) throws {
        if let path = key ?? certificate { _ = try SecretFile(path) }
        do {
            try access.readFiles()
        } catch {
            throw ValidationError("\(error)")
        }
    }

    /// Whether a secret is among what origins are shown.
    func hasSecrets(environment: [String: String]) -> Bool {
        key != nil || certificate != nil || credentials != nil || !headers.isEmpty
            || environment["AWS_SECRET_ACCESS_KEY"] != nil
    }

    private func field(_ text: String) throws -> PeerNode.OriginAccess.Field {
        do {
            guard text.hasPrefix("@") else { return try PeerNode.OriginAccess.Field(text) }
            return try SecretFile(String(text.dropFirst())).parsed {
                try PeerNode.OriginAccess.Field(
                    $0.trimmingWhitespace())
            }
        } catch let error as PeerNode.InvalidAccess {
            // The value may be a secret, and so may be what was taken for the name.
            throw ValidationError("--origin-header: \(error).")
        }
    }
}

extension PeerNode.OriginAccess.Redirects: ExpressibleByArgument {}
