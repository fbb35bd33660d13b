internal import ArgumentParser
internal import TFTPClient
internal import TFTPSeal

/// `--seal-key`, wherever something is asked or answered under a seal.
struct SealKeyOption: ParsableArguments {
    @Option(
        name: .customLong("seal-key"),
        help: """
            A file with keys of sealed transfers: the first is asked with, all are answered to; see 'bootstorm seal-key --help'.
            """, completion: .file())
    var file: String?

    /// Nil without the flag; names what is wrong with the file.
    func keys() throws -> TFTPClient.SealKeys? {
        try file.map { file in try SecretFile(file).parsed { try TFTPClient.SealKeys($0) } }
    }
}
