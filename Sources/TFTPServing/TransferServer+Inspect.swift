/// State that status and metrics show.
extension TransferServer {
    /// Bytes of an upload that have arrived.
    package func receivedByteCount(ofUpload upload: UInt32) -> UInt64 {
        upload == ReceptionTable.noUpload ? 0 : uploads.receivedByteCount(upload)
    }

    /// Whether a handler may be asked about a request of this direction.
    package func mayAskHandler(isUpload: Bool) -> Bool {
        configuration.mayAskHandler(isUpload: isUpload)
    }
}
