internal import ArgumentParser
internal import TFTPCore
internal import TFTPNames

/// A file that says of machines what requests do not: YAML (a list of mappings) or CSV (with a line
/// of names).
///
/// `name`, `mac`, `ip` and `serial` are known; any other column is for rules (`${host.COLUMN}`) and
/// templates.
enum HostsFile {
    static func read(_ path: String) throws -> HostTable {
        let text = String(decoding: try RuleFile.bytes(of: path), as: UTF8.self)
        do {
            return path.lowercased().hasSuffix(".csv") ? try csv(text) : try yaml(text)
        } catch let error as Problem {
            throw ValidationError("\(path): line \(error.line): \(error.text)")
        } catch let error as YAMLError {
            throw ValidationError("\(path): line \(error.line ?? 1): \(error)")
        }
    }

    /// What is wrong, and in which line.
    struct Problem: Error {
        let line: Int
        let text: String
    }

    static func csv(_ text: String) throws -> HostTable {
        let records = try CSVRecord.all(in: text)
        guard let columns = records.first?.cells else { return .empty }
        let twice = columns.indices.first { columns[..<$0].contains(columns[$0]) }
        if let twice, !columns[twice].isEmpty {
            throw Problem(
                line: records[0].line, text: "the column '\(columns[twice])' is there twice")
        }
        var hosts: [(HostTable.Host, line: Int)] = []
        for record in records.dropFirst() {
            guard record.cells.count == columns.count else {
                throw Problem(
                    line: record.line,
                    text: "\(record.cells.count) cells where the first line has \(columns.count)")
            }
            hosts.append(
                (try host(Array(zip(columns, record.cells)), line: record.line), record.line))
        }
        return try table(hosts)
    }

    static func yaml(_ text: String) throws -> HostTable {
        guard let node = try YAMLDocument.root(of: text) else { return .empty }
        guard let list = node.sequence else {
            throw Problem(line: node.line, text: "hosts are a list")
        }
        var hosts: [(HostTable.Host, line: Int)] = []
        for item in list {
            guard let mapping = item.mapping else {
                throw Problem(line: item.line, text: "a host is a mapping")
            }
            let fields = mapping.map { ($0.key.text ?? "", $0.value.text ?? "") }
            hosts.append((try host(fields, line: item.line), item.line))
        }
        return try table(hosts)
    }

    /// Which of two hosts with one address is meant, the file has to say.
    private static func table(_ hosts: [(HostTable.Host, line: Int)]) throws -> HostTable {
        guard hosts.count <= HostTable.hostsMax else {
            throw Problem(line: 1, text: "more than \(HostTable.hostsMax) hosts")
        }
        var (macs, addresses): ([MACAddress: Int], [Address: Int]) = ([:], [:])
        for (host, line) in hosts {
            if let mac = host.mac, let first = macs.updateValue(line, forKey: mac) {
                throw Problem(line: line, text: "the same 'mac' as in line \(first)")
            }
            if let address = host.address, let first = addresses.updateValue(line, forKey: address)
            {
                throw Problem(line: line, text: "the same 'ip' as in line \(first)")
            }
        }
        return HostTable(hosts.map(\.0))
    }

    private static func host(
        _ fields: [(String, String)], line: Int
    ) throws -> HostTable.Host {
        var host = HostTable.Host()
        for (key, value) in fields where !value.isEmpty {
            switch key {
            case "name": host.name = value
            case "serial": host.serial = value
            case "mac":
                guard let mac = MACAddress(text: value) else {
                    throw Problem(line: line, text: "'\(value)' is not an Ethernet address")
                }
                host.mac = mac
            case "ip":
                guard let address = Address(numericText: value) else {
                    throw Problem(line: line, text: "'\(value)' is not an IP address")
                }
                host.address = address
            default: host.fields[key] = value
            }
        }
        guard host.mac != nil || host.address != nil else {
            throw Problem(line: line, text: "a host needs 'mac' or 'ip'")
        }
        return host
    }
}
