internal import ArgumentParser
internal import TFTPClient
internal import TFTPSeal

/// `--seal-key`, wherever something is asked or answered under a seal.
struct SealKeyOption: ParsableArguments {
    @Option(
        name: .customLong("seal-key"),
        help: .init(
            """
            Key file for sealed transfers: the first key seals requests, any key is accepted; see 'bootstorm seal-key --help'.
            """, valueName: "file"), completion: .file())
    var file: String?

    /// Nil without the flag; names what is wrong with the file.
    func keys() throws -> TFTPClient.SealKeys? {
        try file.map { file in try SecretFile(file).parsed { try TFTPClient.SealKeys($0) } }
    }
}
