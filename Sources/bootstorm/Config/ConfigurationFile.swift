internal import FoundationEssentials
internal import TFTPServer

/// A configuration file that has been read: every setting with its line, and the sections.
///
/// A value: reading the file is the caller's business. Everything that is wrong is found in one go.
struct ConfigurationFile: Sendable {
    /// What messages call the file.
    let path: String
    private(set) var entries: [Entry] = []
    /// What the section `policies` says.
    private(set) var policies: [TFTPServer.Policy] = []

    /// One setting of the file.
    struct Entry: Equatable, Sendable {
        let key: String
        let values: [String]
        let line: Int
    }

    /// A larger file is rejected. No file that is written by hand comes near this.
    static let byteCountMax = 1 << 20

    /// - Throws: all that is wrong in `text`.
    init(path: String, text: String) throws(ConfigurationErrors) {
        self.path = path
        var errors: [ConfigurationError] = []
        let root = try ConfigurationFile.root(of: text, path: path)
        for pair in root {
            read(pair.key, pair.value, &errors)
        }
        guard errors.isEmpty else { throw ConfigurationErrors(errors) }
    }

    /// What can be read of a file, whatever else is wrong in it.
    init(path: String, readable text: String) {
        self.path = path
        var errors: [ConfigurationError] = []
        for pair in (try? ConfigurationFile.root(of: text, path: path)) ?? [] {
            read(pair.key, pair.value, &errors)
        }
    }

    /// Reads the file.
    init(path: String) throws(ConfigurationErrors) {
        let text: String
        do {
            text = try ConfigurationFile.text(of: path)
        } catch {
            throw ConfigurationErrors([
                ConfigurationError(source: .file(path, line: nil), message: "\(error)")
            ])
        }
        try self.init(path: path, text: text)
    }

    private struct Unreadable: Error, CustomStringConvertible { let description: String }

    static func text(of path: String) throws -> String {
        let data: [UInt8]
        do {
            data = try NamedFile.bytes(of: path, byteCountMax: byteCountMax)
        } catch {
            throw Unreadable(description: "\(error)")
        }
        guard let text = String(bytes: data, encoding: .utf8) else {
            throw Unreadable(description: "is not UTF-8 text")
        }
        return text
    }

    private static func root(
        of text: String, path: String
    ) throws(ConfigurationErrors) -> [YAMLNode.Pair] {
        let node: YAMLNode?
        do throws(YAMLError) {
            node = try YAMLDocument.root(of: text)
        } catch {
            // A key has its name, what is no YAML has a column.
            var column = error.column
            if case .keyTwice = error.problem { column = nil }
            throw ConfigurationErrors([
                ConfigurationError(
                    source: .file(path, line: error.line, column: column), message: "\(error)")
            ])
        }
        guard let node, node.text?.isEmpty != true else { return [] }
        guard let mapping = node.mapping else {
            let message = "expected 'key: value' lines"
            throw ConfigurationErrors([
                ConfigurationError(source: .file(path, line: node.line), message: message)
            ])
        }
        return mapping
    }

    private mutating func read(
        _ key: YAMLNode, _ value: YAMLNode, _ errors: inout [ConfigurationError]
    ) {
        let reader = NodeReader(path: path)
        guard let name = key.text else {
            return errors.append(reader.error(key, "a key is a word"))
        }
        if name == "policies" {
            policies = PolicySection(value, reader, &errors).policies
            return
        }
        guard let setting = Setting.named(name) else {
            return errors.append(reader.unknown(key, name, among: ConfigurationFile.keys))
        }
        if let values = reader.values(of: setting, value, &errors) {
            entries.append(Entry(key: name, values: values, line: key.line))
        }
    }

    /// Every key that a file may have.
    static let keys = Setting.all.map(\.key) + ["policies"]

    /// Where `key` is set.
    func source(of key: String) -> ConfigurationError.Source {
        .file(path, line: entries.first { $0.key == key }?.line)
    }
}
