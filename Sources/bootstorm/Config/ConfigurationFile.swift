internal import Foundation
internal import TFTPServer
internal import Yams

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
        for (key, value) in root {
            read(key, value, &errors)
        }
        guard errors.isEmpty else { throw ConfigurationErrors(errors) }
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

    private static func text(of path: String) throws -> String {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            let reason = unsafe String(cString: strerror(errno))
            throw Unreadable(description: "cannot be read: \(reason)")
        }
        let data = try handle.read(upToCount: byteCountMax + 1) ?? Data()
        guard data.count <= byteCountMax else {
            throw Unreadable(description: "is larger than \(byteCountMax >> 20) MiB")
        }
        guard let text = String(bytes: data, encoding: .utf8) else {
            throw Unreadable(description: "is not UTF-8 text")
        }
        return text
    }

    private static func root(
        of text: String, path: String
    ) throws(ConfigurationErrors) -> Node.Mapping {
        do {
            let node = try Parser(yaml: text).singleRoot()
            switch node {
            case nil: return Node.Mapping([])
            case .mapping(let mapping)?: return mapping
            case .scalar(let scalar)? where scalar.string.isEmpty: return Node.Mapping([])
            case let other?:
                let message = "expected 'key: value' lines"
                throw ConfigurationErrors([
                    ConfigurationError(
                        source: .file(path, line: other.mark?.line), message: message)
                ])
            }
        } catch let errors as ConfigurationErrors {
            throw errors
        } catch {
            let (line, message) = describe(error, in: text)
            throw ConfigurationErrors([
                ConfigurationError(source: .file(path, line: line), message: message)
            ])
        }
    }

    /// The line and the reason of what Yams cannot read.
    private static func describe(
        _ error: any Error, in text: String
    ) -> (line: Int?, message: String) {
        switch error {
        case YamlError.scanner(_, let problem, let mark, _),
            YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _):
            return (mark.line, "not YAML: \(problem)")
        case YamlError.duplicatedKeysInMapping(let keys, let context):
            let key = keys.first ?? ""
            let line = lastLine(of: key, from: context.mark.line, in: text)
            return (line, "\(key): given twice")
        case YamlError.reader(let problem, _, _, _): return (nil, "not YAML: \(problem)")
        default: return (nil, "not YAML")
        }
    }

    /// The last line from `first` on that begins with a key.
    private static func lastLine(of key: String, from first: Int, in text: String) -> Int {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        let last = lines.lastIndex { $0.drop { " -\"'".contains($0) }.hasPrefix(key) }
        return max(first, (last ?? 0) + 1)
    }

    private mutating func read(
        _ key: Node, _ value: Node, _ errors: inout [ConfigurationError]
    ) {
        let reader = NodeReader(path: path)
        guard let name = key.scalar?.string else {
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
            let line = key.mark?.line ?? 0
            entries.append(Entry(key: name, values: values, line: line))
        }
    }

    /// Every key that a file may have.
    static let keys = Setting.all.map(\.key) + ["policies"]

    /// Where `key` is set.
    func source(of key: String) -> ConfigurationError.Source {
        .file(path, line: entries.first { $0.key == key }?.line)
    }
}
