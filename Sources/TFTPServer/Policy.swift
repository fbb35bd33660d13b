internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

extension TFTPServer {
    /// What some clients may do, some kinds of clients, or in some folders; see
    /// `Configuration.policies`.
    ///
    /// Of all policies that hold for a request the one with the longest network prefix decides
    /// alone; among these the one with the longest folder, then one that names kinds of clients,
    /// then the first. What it leaves nil is as the configuration has it.
    public struct Policy: Equatable, Sendable {
        /// Where clients are; empty is everywhere.
        public var networks: [Network] = []
        /// What clients are; empty is anything.
        public var clients: [ClientKind] = []
        /// Where the names are, as `folder(_:)` spells it; empty is everywhere.
        public var folders: [String] = []
        /// Whether files may be read.
        public var read: Bool?
        /// What may be written.
        public var upload: Configuration.Upload?
        /// Bytes; a longer upload is refused with ERROR 3.
        public var uploadSizeMax: UInt64?
        /// The largest blksize granted, 8...65464.
        public var blksizeMax: UInt16?
        /// The largest windowsize granted, 1...65535.
        public var windowsizeMax: UInt16?
        /// Options that are treated as if the client had not asked for them.
        public var refusedOptions: [TransferOption] = []
        /// Whether plain requests are refused with ERROR 2.
        public var requireSeal: Bool?

        /// A policy that holds for all and changes nothing.
        public init() {}

        /// Policies of one server.
        public static let countMax = PolicyTable.rulesMax

        /// A folder's name as requests spell it: without a slash at either end. Nil for what cannot
        /// be a name.
        public static func folder(_ text: String) -> String? {
            let bytes = Array(text.utf8)
            guard let name = unsafe try? FileName(normalising: bytes.span.bytes), !name.goesUp
            else {
                return nil
            }
            var normal = unsafe name.withUnsafeCString { unsafe String(cString: $0) }
            while normal.hasSuffix("/") { normal.removeLast() }
            return normal.isEmpty ? nil : normal
        }
    }

    /// A kind of client, told by the options that it asks for and their order. A guess: a client
    /// can ask as another does.
    public struct ClientKind: Hashable, Sendable, CaseIterable, CustomStringConvertible {
        let fingerprint: Fingerprint

        /// Every kind that is told apart.
        public static var allCases: [ClientKind] {
            Fingerprint.allCases.map { ClientKind(fingerprint: $0) }
        }

        init(fingerprint: Fingerprint) { self.fingerprint = fingerprint }

        /// The kind that the log calls so; nil where there is none.
        public init?(_ text: String) {
            guard let kind = ClientKind.allCases.first(where: { $0.description == text }) else {
                return nil
            }
            self = kind
        }

        /// As the log calls it, for instance `ipxe`.
        public var description: String { "\(fingerprint)" }
    }

    /// An option of a request (RFC 2347) that may be refused.
    public enum TransferOption: String, Sendable, CaseIterable {
        case blksize
        case windowsize
        case timeout
        case tsize
        case offset
        case length
        case blksize2
        case utimeout
        case rollover
        case msftwindow

        var name: Options.Name {
            switch self {
            case .blksize: .blksize
            case .windowsize: .windowsize
            case .timeout: .timeout
            case .tsize: .tsize
            case .offset: .offset
            case .length: .length
            case .blksize2: .blksize2
            case .utimeout: .utimeout
            case .rollover: .rollover
            case .msftwindow: .msftwindow
            }
        }
    }
}

extension TFTPServer.Configuration {
    /// What every request has that no policy holds for.
    private var defaultPolicy: RequestPolicy {
        var policy = RequestPolicy()
        policy.upload = UploadPolicy(rawValue: upload.rawValue) ?? .deny
        policy.uploadByteCountMax = uploadSizeMax
        policy.blksizeMax = blksizeMax
        policy.windowsizeMax = windowsizeMax
        return policy
    }

    /// The policies as the shards read them.
    var policyTable: PolicyTable {
        let rules = policies.map { policy in
            var request = defaultPolicy
            if let read = policy.read { request.allowsRead = read }
            if let upload = policy.upload {
                request.upload = UploadPolicy(rawValue: upload.rawValue) ?? .deny
            }
            if let byteCount = policy.uploadSizeMax { request.uploadByteCountMax = byteCount }
            if let blksize = policy.blksizeMax { request.blksizeMax = blksize }
            if let windowsize = policy.windowsizeMax { request.windowsizeMax = windowsize }
            if let isRequired = policy.requireSeal { request.requiresSeal = isRequired }
            request.refused = OptionSelection(policy.refusedOptions.map(\.name))
            var rule = PolicyTable.Rule(policy: request)
            rule.networks = policy.networks.map(\.network)
            rule.kinds = policy.clients.map(\.fingerprint)
            rule.folders = policy.folders
            return rule
        }
        return PolicyTable(
            default: defaultPolicy, rules: rules, sealedNetworks: requireSeal.map(\.network))
    }
}
