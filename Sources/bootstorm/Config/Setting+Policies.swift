internal import TFTPServer

extension Setting {
    /// The keys of one policy in the section `policies`: the requests that it holds for, and what
    /// it allows.
    static let policyKeys: [Setting] = conditions + permissions

    /// Of a list any one holds; all of those that are given hold together.
    private static let conditions: [Setting] = [
        Setting(
            key: "network",
            kind: .text(expected: "a network such as 10.0.0.0/8, fd00::/8 or all") {
                TFTPServer.Network($0) != nil
            },
            isRepeatable: true, effect: .atReload, example: ["10.1.0.0/16"],
            help: "Addresses of clients. The longest prefix that holds decides."),
        Setting(
            key: "client", kind: .word(TFTPServer.ClientKind.allCases.map(\.description)),
            isRepeatable: true, effect: .atReload, example: ["ipxe", "grub"],
            help: "Kinds of clients, as the log names them."),
        Setting(
            key: "folder",
            kind: .text(expected: "the name of a folder, such as images/arm64") {
                TFTPServer.Policy.folder($0) != nil
            },
            isRepeatable: true, effect: .atReload, example: ["images"],
            help: "Folders; the names in them are meant."),
    ]

    private static let permissions: [Setting] = [
        Setting(
            key: "read", kind: .flag, effect: .atReload, example: ["true"],
            help: "Whether files may be read."),
        Setting(
            key: "upload", kind: .word(TFTPServer.Configuration.Upload.allCases.map(\.rawValue)),
            effect: .atReload, example: ["create"], help: "As the setting of this name."),
        Setting(
            key: "upload-max", kind: .byteCount(0...(1 << 62)), effect: .atReload,
            example: ["1G"], help: "As the setting of this name."),
        Setting(
            key: "blksize-max", kind: .integer(8...65464), effect: .atReload, example: ["1468"],
            help: "As the setting of this name."),
        Setting(
            key: "windowsize-max", kind: .integer(1...65535), effect: .atReload, example: ["16"],
            help: "As the setting of this name."),
        Setting(
            key: "refuse", kind: .word(TFTPServer.TransferOption.allCases.map(\.rawValue)),
            isRepeatable: true, effect: .atReload, example: ["windowsize"],
            help: "Options that are never granted."),
        Setting(
            key: "require-seal", kind: .flag, effect: .atReload, example: ["false"],
            help: "Whether plain requests are refused."),
    ]
}
