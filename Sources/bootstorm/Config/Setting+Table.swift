internal import Logging
internal import TFTPClient
internal import TFTPNames
internal import TFTPPeer
internal import TFTPReactor
internal import TFTPServer
internal import TFTPWire

extension Setting {
    /// Every setting of `serve`, in the order of the example file.
    static let all: [Setting] =
        files + names + options + limits + access + seals + peers + origins + fleet + monitoring
        + log

    static func named(_ key: String) -> Setting? { all.first { $0.key == key } }

    /// What is served, where, and by how many threads.
    private static let files: [Setting] = [
        Setting(
            key: "root", kind: .folder, isRepeatable: true, example: ["/srv/tftp"],
            help: """
                The folder to serve; several are searched in order. No file outside of them is read or written.
                """),
        Setting(
            key: "listen", kind: .address, isRepeatable: true, example: [":69"],
            help: "Addresses and ports to answer on. ':69' is every address."),
        Setting(
            key: "shards", kind: .integerOr("auto", 1...ReactorConfiguration.shardsMax),
            example: ["auto"], help: "Number of serving threads; 'auto' takes one a core."),
        Setting(
            key: "snapshots", kind: .flag, example: ["false"],
            help: """
                The folder has snapshots (bootstorm publish), and a boot gets all files from one.
                """),
        Setting(
            key: "snapshot-hold", kind: .integer(1...86_400), example: ["300"],
            help: "Seconds of inactivity before a client's snapshot lease expires."),
        Setting(
            key: "upload", kind: .word(TFTPServer.Configuration.Upload.allCases.map(\.rawValue)),
            effect: .atReload, example: ["deny"],
            help:
                "What clients may write: deny, create (new names only), existing (files that exist) or overwrite."
        ),
        Setting(
            key: "upload-max", kind: .byteCount(0...(1 << 62)), effect: .atReload, example: ["1T"],
            help: "Maximum size of an upload."),
        Setting(
            key: "umask",
            kind: .text(expected: "an octal umask, for instance 022") {
                UploadOptions.mask($0) != nil
            }, example: ["022"],
            help: "Permission bits that uploaded files do not get: new files have 0666 less these."),
        Setting(
            key: "create-dirs", kind: .flag, example: ["false"],
            help: "Make the folders that are missing on the way to an uploaded file."),
        Setting(
            key: "backup",
            kind: .text(expected: "the end of a file name, for instance .old") {
                !$0.isEmpty && !$0.contains("/")
            }, example: [".old"],
            help: "Keep the old file under its name and this suffix when an upload takes its place."
        ),
        Setting(
            key: "no-fsync", kind: .flag, example: ["false"],
            help: "Acknowledge uploads before they are on the disk."),
    ]

    /// Which file a name means.
    private static let names: [Setting] = [
        Setting(
            key: "map", kind: .file, effect: .atReload, example: ["/etc/bootstorm/rules.yaml"],
            help: "Rules for names (/usr/share/doc/bootstorm/guide/names.md)."),
        Setting(
            key: "map-hpa", kind: .file, effect: .atReload, example: ["/etc/tftpd.map"],
            help: "Map file of tftpd-hpa."),
        Setting(
            key: "pcre", kind: .file, effect: .atReload, example: ["/etc/atftpd.pcre"],
            help: "Pattern file of atftpd."),
        Setting(
            key: "any-case", kind: .flag, effect: .atReload, example: ["false"],
            help: "Find files whose names differ from the request in upper and lower case only."),
        Setting(
            key: "follow", kind: .folder, isRepeatable: true, effect: .atReload,
            example: ["/usr/lib/PXELINUX"],
            help: "Folders that symbolic links may lead out to."),
        Setting(
            key: "unique-root", kind: .word(NamePlan.ClientFolder.allCases.map(\.rawValue)),
            effect: .atReload, example: ["mac"],
            help: "Look into a client's own folder below the root first."),
        Setting(
            key: "hosts", kind: .file, effect: .atReload, example: ["/etc/bootstorm/hosts.yaml"],
            help: "Hosts file for rules and templates: name, mac, ip, serial and more."),
    ]

    /// What is granted, and from which ports.
    private static let options: [Setting] = [
        Setting(
            key: "user", kind: .text(expected: "the name of a user") { !$0.isEmpty },
            example: ["nobody"],
            help: "User to serve as when started as root (default: bootstorm, or else nobody)."),
        Setting(
            key: "serve-unreadable", kind: .flag, example: ["false"],
            help: "Serve files that are not world-readable (mode o+r) as well."),
        Setting(
            key: "single-port", kind: .flag, example: ["false"],
            help: "Answer from the port that received the request, for firewalls that expect it."),
        Setting(
            key: "ports",
            kind: .text(expected: "FIRST-LAST, for instance 2000-2999") {
                PortRange(argument: $0).map { $0.range.lowerBound > 0 } ?? false
            },
            example: ["2000-2999"], help: "Ports that answers may come from."),
        Setting(
            key: "blksize-max", kind: .integer(8...65464), effect: .atReload, example: ["65464"],
            help: "Maximum blksize to grant. The link's MTU lowers it further."),
        Setting(
            key: "windowsize-max", kind: .integer(1...65535), effect: .atReload,
            example: ["65535"], help: "Maximum windowsize to grant."),
        Setting(
            key: "no-gso", kind: .flag, example: ["false"],
            help: "Send each packet by itself, without UDP segmentation offload."),
        Setting(
            key: "no-pacing", kind: .flag, example: ["false"],
            help: "Send a window as fast as possible, whatever the path loses of it."),
        Setting(
            key: "client-policy",
            kind: .text(expected: "KIND:key=value, for instance grub:first-repeat=300") {
                (try? ClientPolicies(overrides: [$0])) != nil && $0 != "list"
            },
            isRepeatable: true, example: ["grub:first-repeat=500"],
            help: "Overrides for kinds of clients; 'serve --client-policy list' prints what holds."),
    ]

    /// What it may use.
    private static let limits: [Setting] = [
        Setting(
            key: "cache",
            kind: .byteCount(
                ReactorConfiguration.cacheByteCountMin...ReactorConfiguration.cacheByteCountMax),
            example: ["1G"],
            help: "Memory for file content. Nodes that fetch files take half of the memory."),
        Setting(
            key: "transfers-max", kind: .integer(1...ReactorConfiguration.transfersMaxMax),
            example: ["65536"],
            help: "Maximum number of transfers at once; one more is answered 'busy'."),
        Setting(
            key: "drain", kind: .integer(0...86_400), example: ["30"],
            help: "Seconds that running transfers get when the server is told to stop."),
    ]

    private static let seals: [Setting] = [
        Setting(
            key: "seal-key", kind: .file, effect: .atReload, example: ["/etc/bootstorm/seal.keys"],
            help: """
                File with keys of sealed transfers. The first key seals requests; any key is accepted.
                """),
        Setting(
            key: "require-seal",
            kind: .text(expected: "a network such as 10.0.0.0/8, fd00::/8 or all") {
                TFTPServer.Network($0) != nil
            },
            isRepeatable: true, effect: .atReload, example: ["10.0.0.0/8"],
            help: "Networks from which plain requests are refused."),
    ]

    private static let peers: [Setting] = [
        Setting(
            key: "peer",
            kind: .text(expected: "a peer such as tftp://10.0.0.2 or _tftp._udp.example.net") {
                PeerAddress(argument: $0) != nil
            },
            isRepeatable: true, example: ["tftp://10.0.0.2"],
            help: "Peers to fetch missing files from. All addresses of a host name are used."),
        Setting(
            key: "origin",
            kind: .text(expected: "a URL such as http://files.example.net/boot") {
                (try? PeerNode.Origin($0)) != nil
            },
            isRepeatable: true, example: ["http://files.example.net/boot"],
            help: "URLs (tftp, http, https, s3) to fetch files from that no peer has."),
        Setting(
            key: "announce", kind: .flag, example: ["false"],
            help: """
                Announce this node on its links (multicast 239.255.69.69 and ff15::6969:6969), and use others there as peers.
                """),
        Setting(
            key: "share", kind: .flag, example: ["false"],
            help: "Share the folder's files with nodes that have this one as a peer or an origin."),
        Setting(
            key: "sign-key", kind: .file, example: ["/etc/bootstorm/sign.key"],
            help: "File with the key that signs the list of this node's files (bootstorm sign-key)."
        ),
        Setting(
            key: "trust",
            kind: .text(expected: "a public key as 'bootstorm sign-key' prints it") {
                (try? PeerNode.TrustedKey($0)) != nil
            },
            isRepeatable: true, example: ["Vz09N9oVNK4X545pflS45PvHEhx0MpT7v6qvpNbMbqA="],
            help: "Take files from peers only if one of these public keys has signed them."),
        Setting(
            key: "trust-origin", kind: .flag, example: ["false"],
            help: "Take files from the origins alone, and from no peer."),
        Setting(
            key: "closed", kind: .flag, example: ["false"],
            help: "Refuse files that a client's snapshot lacks without asking peers or origins."),
    ]

    private static let origins: [Setting] = [
        Setting(
            key: "origin-redirects",
            kind: .word(PeerNode.OriginAccess.Redirects.allCases.map(\.rawValue)),
            example: ["same"],
            help: "Where an origin may redirect to: same (its own host) or any host."),
        Setting(
            key: "origin-ca", kind: .file, example: ["/etc/bootstorm/authorities.pem"],
            help: "PEM file of the certificate authorities to trust instead of the system's."),
        Setting(
            key: "origin-cert", kind: .file, example: ["/etc/bootstorm/client.pem"],
            help: "PEM file of the client certificate to show."),
        Setting(
            key: "origin-key", kind: .file, example: ["/etc/bootstorm/client.key"],
            help: "PEM file of the client certificate's private key."),
        Setting(
            key: "origin-header", kind: .header, isRepeatable: true, example: ["X-Site: hall-1"],
            help: "Fields to send with every request to an origin, or @FILE to read one from."),
        Setting(
            key: "origin-auth", kind: .file, example: ["/etc/bootstorm/origins.auth"],
            help: "File of credentials for origins, one a line (bootstorm serve --help)."),
        Setting(
            key: "origin-s3-endpoint", kind: .text(expected: "a URL") { !$0.isEmpty },
            example: ["https://s3.example.net"], help: "URL of the S3 service."),
        Setting(
            key: "origin-s3-region", kind: .text(expected: "a region") { !$0.isEmpty },
            example: ["us-east-1"], help: "Region that S3 requests are signed for."),
    ]

    private static let log: [Setting] = [
        Setting(
            key: "log-level", kind: .word(Logger.Level.allCases.map(\.rawValue)),
            effect: .atReload, example: ["info"],
            help: "Lowest level of log lines to write."),
        Setting(
            key: "log-format", kind: .word(LogFormat.allCases.map(\.rawValue)), example: ["text"],
            help: "Form of log lines: text for people, json for programs."),
    ]
}

extension Setting.Kind {
    static var folder: Setting.Kind { .text(expected: "a folder") { !$0.isEmpty } }

    static var file: Setting.Kind { .text(expected: "a file") { !$0.isEmpty } }

    static var header: Setting.Kind {
        .text(expected: "'Name: value' or @FILE") {
            $0.hasPrefix("@") || (try? PeerNode.OriginAccess.Field($0)) != nil
        }
    }

    static var address: Setting.Kind {
        .text(expected: "an address such as :69, 10.0.0.1:69 or [::1]:6969") {
            (try? TFTPServer.ListenAddress($0)) != nil
        }
    }
}
