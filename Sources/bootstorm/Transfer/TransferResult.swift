internal import FoundationEssentials
internal import TFTPClient

/// What became of one file, for programs.
struct TransferResult: Codable {
    var name: String
    var bytes: UInt64?
    var seconds: Double?
    var blksize: Int?
    var windowsize: Int?
    var retransmissions: UInt64?
    /// Why it failed; missing when it did not.
    var error: String?
    var exitCode: Int32

    init(_ name: String, _ summary: TFTPClient.Summary) {
        self.name = name
        bytes = summary.byteCount
        seconds = summary.duration / .seconds(1)
        blksize = summary.blksize
        windowsize = summary.windowsize
        retransmissions = summary.retransmissions
        exitCode = 0
    }

    init(_ name: String, _ error: String, _ code: Int32) {
        self.name = name
        self.error = error
        exitCode = code
    }
}
