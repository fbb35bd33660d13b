public import TFTPSeal

extension TFTPClient {
    /// Keys that a client and a server share, for sealed transfers. The first is the one that is
    /// asked with.
    public typealias SealKeys = TFTPSeal.SealKeys
}
