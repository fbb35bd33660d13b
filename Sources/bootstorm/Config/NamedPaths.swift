internal import Glibc
internal import TFTPClient
internal import TFTPNames
internal import TFTPSeal

/// The files and folders that a configuration file names, on the host that checks it.
struct NamedPaths {
    /// One for each that the server would refuse, with its line in the configuration.
    private(set) var errors: [ConfigurationError] = []

    /// - Parameter path: the configuration file. What is wrong in itself is passed over.
    init(of path: String) {
        guard let text = try? ConfigurationFile.text(of: path) else { return }
        for entry in ConfigurationFile(path: path, readable: text).entries {
            for value in entry.values {
                guard let problem = NamedPaths.problem(entry.key, value) else { continue }
                errors.append(
                    ConfigurationError(source: .file(path, line: entry.line), message: problem))
            }
        }
    }

    /// Nil where the setting names no path, or there is nothing wrong with it.
    private static func problem(_ key: String, _ value: String) -> String? {
        do {
            switch key {
            case "root", "follow": return folderProblem(key, value)
            case "map": _ = try RuleFile.read(value)
            case "map-hpa":
                _ = try RuleFile.read(value) { bytes throws(RuleFileError) in
                    try HPARules(bytes)
                }
            case "pcre":
                _ = try RuleFile.read(value) { bytes throws(RuleFileError) in
                    try PCRERules(bytes)
                }
            case "hosts": _ = try HostsFile.read(value)
            case "seal-key": _ = try SecretFile(value).parsed { try TFTPClient.SealKeys($0) }
            case "fleet-auth": _ = try SecretFile(value)
            default: break
            }
            return nil
        } catch {
            return ServeLaunch.message(for: error)
        }
    }

    /// What only another user may see is not judged.
    private static func folderProblem(_ key: String, _ path: String) -> String? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            return errno == EACCES ? nil : "\(key): '\(path)' does not exist"
        }
        return status.st_mode & S_IFMT == S_IFDIR ? nil : "\(key): '\(path)' is not a folder"
    }
}
