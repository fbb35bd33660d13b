internal import ArgumentParser
internal import TFTPNames

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
        do throws(NamedFile.Failure) {
            return try NamedFile.bytes(of: path, byteCountMax: byteCountMax)
        } catch {
            throw ValidationError("\(path) \(error)")
        }
    }

    /// The rules of a YAML text.
    static func rules(of text: String) throws -> RuleSet {
        let node: YAMLNode?
        do throws(YAMLError) {
            node = try YAMLDocument.root(of: text)
        } catch {
            throw RuleFileError(line: error.line ?? 1, .syntax("\(error)"))
        }
        guard let node else { return try RuleSet([NameRule]()) }
        return try rules(of: node)
    }

    /// The rules of a node, as `rules:` of a configuration has it.
    static func rules(of node: YAMLNode) throws(RuleFileError) -> RuleSet {
        guard let list = node.sequence else {
            throw RuleFileError(line: node.line, .notAList)
        }
        var rules: [(fields: [RuleField], line: Int)] = []
        for item in list {
            guard let mapping = item.mapping else {
                throw RuleFileError(line: item.line, .notAList)
            }
            rules.append((mapping.map(field), item.line))
        }
        return try RuleSet(rules)
    }

    private static func field(_ pair: YAMLNode.Pair) -> RuleField {
        let values = (pair.value.sequence ?? [pair.value]).map { $0.text ?? "" }
        return RuleField(pair.key.text ?? "", values, line: pair.value.line)
    }
}
