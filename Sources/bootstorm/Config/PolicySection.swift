internal import TFTPServer

/// The section `policies` of a configuration file.
struct PolicySection: Sendable {
    private(set) var policies: [TFTPServer.Policy] = []

    /// The section without a policy.
    init() {}

    /// - Parameter node: a list of mappings.
    init(_ node: YAMLNode, _ reader: NodeReader, _ errors: inout [ConfigurationError]) {
        guard let list = node.sequence else {
            // Without a value there is none.
            if node.text?.isEmpty == true { return }
            errors.append(reader.error(node, "policies: expected a list, '- network: …'"))
            return
        }
        guard list.count <= TFTPServer.Policy.countMax else {
            let message = "policies: more than \(TFTPServer.Policy.countMax)"
            errors.append(reader.error(node, message))
            return
        }
        for item in list {
            guard let mapping = item.mapping else {
                errors.append(reader.error(item, "policies: expected '- network: …'"))
                continue
            }
            policies.append(PolicySection.policy(mapping, reader, &errors))
        }
    }

    private static func policy(
        _ mapping: [YAMLNode.Pair], _ reader: NodeReader, _ errors: inout [ConfigurationError]
    ) -> TFTPServer.Policy {
        var policy = TFTPServer.Policy()
        for pair in mapping {
            let key = pair.key
            guard let name = key.text else {
                errors.append(reader.error(key, "a key is a word"))
                continue
            }
            guard let setting = Setting.policyKeys.first(where: { $0.key == name }) else {
                let keys = Setting.policyKeys.map(\.key)
                errors.append(reader.unknown(key, name, among: keys))
                continue
            }
            guard let texts = reader.values(of: setting, pair.value, &errors) else { continue }
            set(name, texts, &policy)
        }
        return policy
    }

    /// All texts have been found to be right.
    private static func set(_ key: String, _ texts: [String], _ policy: inout TFTPServer.Policy) {
        let text = texts.first ?? ""
        switch key {
        case "network": policy.networks = texts.compactMap { TFTPServer.Network($0) }
        case "client": policy.clients = texts.compactMap { TFTPServer.ClientKind($0) }
        case "folder": policy.folders = texts.compactMap { TFTPServer.Policy.folder($0) }
        case "read": policy.read = Setting.boolean(text)
        case "upload": policy.upload = TFTPServer.Configuration.Upload(rawValue: text)
        case "upload-max":
            policy.uploadSizeMax = ByteCount(argument: text).map { UInt64($0.value) }
        case "blksize-max": policy.blksizeMax = UInt16(text)
        case "windowsize-max": policy.windowsizeMax = UInt16(text)
        case "refuse":
            policy.refusedOptions = texts.compactMap { TFTPServer.TransferOption(rawValue: $0) }
        case "require-seal": policy.requireSeal = Setting.boolean(text)
        default: break
        }
    }
}
