internal import ArgumentParser
internal import TFTPServer

/// The flags that say how uploads are kept.
struct UploadOptions: ParsableArguments {
    @Option(
        help: .init(
            "Permission bits that uploaded files do not get, octal: new files have 0666 less these.",
            valueName: "octal"),
        transform: { text in
            guard let mask = UploadOptions.mask(text) else {
                throw ValidationError("'\(text)' is not an octal umask; give for instance 022.")
            }
            return mask
        })
    var umask: UInt16?

    @Flag(help: "Make the folders that are missing on the way to an uploaded file.")
    var createDirs = false

    @Option(
        help: .init(
            "Keep the old file under its name and this suffix when an upload takes its place.",
            valueName: "suffix"))
    var backup: String?

    @Flag(
        name: .customLong("no-fsync"),
        help: """
            Acknowledge uploads before they are on the disk: faster, but a power failure loses \
            what was acknowledged in the last half minute.
            """)
    var noFsync = false

    func apply(to server: inout TFTPServer.Configuration) {
        server.uploadUmask = umask
        server.createFolders = createDirs
        server.backupSuffix = backup
        server.durableUploads = !noFsync
    }

    /// Reads an octal umask; nil for anything else.
    static func mask(_ text: String) -> UInt16? {
        guard let mask = UInt16(text, radix: 8), mask <= 0o777 else { return nil }
        return mask
    }
}
