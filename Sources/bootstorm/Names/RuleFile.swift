internal import ArgumentParser
internal import Foundation
internal import TFTPNames
internal import Yams

/// Files of rules.
enum RuleFile {
    /// A larger file is rejected. No file that is written by hand comes near this.
    private static let byteCountMax = 1 << 22

    /// Reads rules of our own: a YAML list.
    static func read(_ path: String) throws -> RuleSet {
        let bytes = try bytes(of: path)
        do {
            return try rules(of: String(decoding: bytes, as: UTF8.self))
        } catch let error as RuleFileError {
            throw ValidationError("\(path): \(error)")
        }
    }

    /// Reads rules in another syntax.
    static func read<Rules>(
        _ path: String, _ parse: ([UInt8]) throws(RuleFileError) -> Rules
    ) throws -> Rules {
        let bytes = try bytes(of: path)
        do throws(RuleFileError) {
            return try parse(bytes)
        } catch {
            throw ValidationError("\(path): \(error)")
        }
    }

    static func bytes(of path: String) throws -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            let reason = unsafe String(cString: strerror(errno))
            throw ValidationError("\(path) cannot be read: \(reason)")
        }
        let data = try handle.read(upToCount: byteCountMax + 1) ?? Data()
        guard data.count <= byteCountMax else {
            throw ValidationError("\(path) is larger than \(byteCountMax >> 20) MiB")
        }
        return [UInt8](data)
    }

    /// The rules of a YAML text.
    static func rules(of text: String) throws -> RuleSet {
        let node: Node?
        do {
            node = try Parser(yaml: text).singleRoot()
        } catch let error as YamlError {
            throw RuleFileError(line: line(of: error), .invalidReplacement("\(error)"))
        }
        guard let node else { return try RuleSet([NameRule]()) }
        return try rules(of: node)
    }

    /// The rules of a node, as `rules:` of a configuration has it.
    static func rules(of node: Node) throws(RuleFileError) -> RuleSet {
        guard case .sequence(let list) = node else {
            throw RuleFileError(line: node.mark?.line ?? 1, .notAList)
        }
        var rules: [(fields: [RuleField], line: Int)] = []
        for item in list {
            let line = item.mark?.line ?? 1
            guard case .mapping(let mapping) = item else {
                throw RuleFileError(line: line, .notAList)
            }
            rules.append((mapping.map { field($0.key, $0.value) }, line))
        }
        return try RuleSet(rules)
    }

    private static func field(_ key: Node, _ value: Node) -> RuleField {
        let values: [String]
        switch value {
        case .sequence(let list): values = list.map { $0.scalar?.string ?? "" }
        default: values = [value.scalar?.string ?? ""]
        }
        return RuleField(
            key.scalar?.string ?? "", values, line: value.mark?.line ?? key.mark?.line ?? 1)
    }

    private static func line(of error: YamlError) -> Int {
        switch error {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _),
            .composer(_, _, let mark, _):
            mark.line
        default: 1
        }
    }
}
