internal import ArgumentParser
internal import FoundationEssentials

/// `bootstorm import`: another server's configuration as one of this server.
struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a configuration file from that of another TFTP server.",
        discussion: """
            Prints the configuration to standard output, and to standard error what could not be carried over.

              bootstorm import tftpd-hpa >/etc/bootstorm/bootstorm.yaml
              bootstorm import dnsmasq /etc/dnsmasq.conf
              bootstorm import tftpd-hpa -- in.tftpd --secure --map-file /etc/tftpd.rules /srv/tftp
            """)

    enum Server: String, ExpressibleByArgument, CaseIterable {
        case tftpdHPA = "tftpd-hpa"
        case atftpd
        case dnsmasq

        var defaultFile: String {
            switch self {
            case .tftpdHPA: "/etc/default/tftpd-hpa"
            case .atftpd: "/etc/default/atftpd"
            case .dnsmasq: "/etc/dnsmasq.conf"
            }
        }
    }

    @Argument(help: "The server to take over from: tftpd-hpa, atftpd or dnsmasq.")
    var server: Server

    @Argument(
        help: "Its configuration file; for tftpd-hpa and atftpd also an inetd.conf.",
        completion: .file())
    var file: String?

    @Argument(
        parsing: .postTerminator, help: "Its command line, with or without the program's name.")
    var commandLine: [String] = []

    func validate() throws {
        if file != nil && !commandLine.isEmpty {
            throw ValidationError("Give a file or a command line, not both.")
        }
    }

    func run() throws {
        let result: ImportedConfiguration
        let source: String
        if commandLine.isEmpty {
            source = file ?? server.defaultFile
            result = try configuration(ofFile: source)
        } else {
            source = "a command line"
            result = try configuration(ofArguments: arguments)
        }
        for note in result.notes { StandardError.write("\(note)\n") }
        guard !result.settings.isEmpty else {
            throw ValidationError("\(source): no setting of \(server.rawValue) is in it.")
        }
        StandardOutput.write(result.yaml(of: "\(server.rawValue), \(source)"))
    }

    /// The command line without the name of the program.
    private var arguments: [String] {
        commandLine.first?.hasPrefix("-") == false && commandLine.count > 1
            && ["in.tftpd", "tftpd", "atftpd", "dnsmasq"].contains(
                commandLine[0].split(separator: "/").last.map(String.init) ?? "")
            ? Array(commandLine.dropFirst()) : commandLine
    }

    private func configuration(ofFile path: String) throws -> ImportedConfiguration {
        switch server {
        case .tftpdHPA: return HPAImport.configuration(ofFile: try text(of: path), path: path)
        case .atftpd: return ATFTPImport.configuration(ofFile: try text(of: path), path: path)
        case .dnsmasq:
            return DnsmasqImport.configuration(of: try dnsmasqOptions(ofFile: path, depth: 0))
        }
    }

    private func configuration(ofArguments words: [String]) throws -> ImportedConfiguration {
        switch server {
        case .tftpdHPA: return HPAImport.configuration(ofArguments: words)
        case .atftpd: return ATFTPImport.configuration(ofArguments: words)
        case .dnsmasq:
            let options = DnsmasqImport.options(ofArguments: words)
            return DnsmasqImport.configuration(of: try expanded(options, depth: 0))
        }
    }

    // MARK: dnsmasq's files

    /// Files may name files and folders, which come in their place.
    private static let depthMax = 8

    private func dnsmasqOptions(
        ofFile path: String, depth: Int
    ) throws -> [DnsmasqImport.Option] {
        guard depth <= Import.depthMax else {
            throw ValidationError("'\(path)': conf-file is nested too deeply.")
        }
        return try expanded(
            DnsmasqImport.options(ofFile: try text(of: path), path: path), depth: depth)
    }

    private func expanded(
        _ options: [DnsmasqImport.Option], depth: Int
    ) throws -> [DnsmasqImport.Option] {
        try options.flatMap { option -> [DnsmasqImport.Option] in
            guard let value = option.value else { return [option] }
            switch option.name {
            case "conf-file": return try dnsmasqOptions(ofFile: value, depth: depth + 1)
            case "conf-dir":
                return try Import.files(ofFolder: value).flatMap { path in
                    try dnsmasqOptions(ofFile: path, depth: depth + 1)
                }
            default: return [option]
            }
        }
    }

    /// `FOLDER[,*.ENDING…][,.ENDING…]`: only files with an ending of the first kind, none with one
    /// of the other.
    private static func files(ofFolder value: String) throws -> [String] {
        let parts = value.split(separator: ",").map(String.init)
        guard let folder = parts.first else { return [] }
        let wanted = parts.dropFirst().filter { $0.hasPrefix("*") }.map { $0.dropFirst() }
        let unwanted = parts.dropFirst().filter { !$0.hasPrefix("*") }
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            throw ValidationError("'\(folder)' (conf-dir) cannot be read.")
        }
        return names.sorted().filter { name in
            !name.hasPrefix(".") && !name.hasPrefix("#") && !name.hasSuffix("~")
                && (wanted.isEmpty || wanted.contains { name.hasSuffix($0) })
                && !unwanted.contains { name.hasSuffix($0) }
        }.map { folder + "/" + $0 }
    }

    private func text(of path: String) throws -> String {
        do throws(NamedFile.Failure) {
            let bytes = try NamedFile.bytes(of: path, byteCountMax: 4 << 20)
            return String(decoding: bytes, as: UTF8.self)
        } catch {
            throw ValidationError("'\(path)' \(error).")
        }
    }
}
