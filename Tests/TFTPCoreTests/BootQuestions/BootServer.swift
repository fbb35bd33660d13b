import TFTPWire

@testable import TFTPCore

/// A server of one file, as a boot client sees it: asked in packets, it answers in lines of a log.
protocol BootServer: AnyObject {
    /// What was sent, in order: `OACK`, `DATA 5`, `DATA 1-4`, `ERROR 5`.
    var log: [String] { get }
    /// Every block that was sent, in order.
    var blocks: [UInt64] { get }
    /// How it ended, in the words of `Outcome`.
    var outcome: String? { get }
    /// Transfers that are open.
    var sessionCount: Int { get }
    /// The address that it answers from.
    var local: Address { get }

    func ack(_ block: UInt64)
    /// ACK `block` from another port of the client.
    func ackFromStranger(_ block: UInt64)
    func error(_ code: ErrorCode, isWrongBlock: Bool)
    /// The request again, from the same port.
    func requestAgain()
    func wait(_ milliseconds: UInt64)
    func forget()
}

extension BootServer {
    /// Acknowledges windows of `windowsize` up to `block`, a millisecond each, and forgets the log.
    func advance(to block: UInt64, windowsize: UInt64 = 1) {
        ack(0)
        var acked: UInt64 = 0
        while acked < block {
            wait(1)
            acked = min(block, acked + windowsize)
            ack(acked)
        }
        forget()
    }
}

/// The file that is served, and the client.
struct BootCase {
    var byteCount: UInt64
    var blksize: UInt16 = 512
    var windowsize: UInt16 = 1
    var hasOptions = true
}

/// The real thing: a transfer table, driven as a shard does it.
final class TableServer: BootServer {
    private var download: Download
    private let served: BootCase

    init(_ served: BootCase) {
        self.served = served
        download = Download(
            byteCount: served.byteCount, blksize: served.blksize, windowsize: served.windowsize,
            hasOptions: served.hasOptions)
    }

    var log: [String] { download.log }
    var blocks: [UInt64] { download.blocks }
    var outcome: String? { download.outcome.map { "\($0)" } }
    var sessionCount: Int { download.table.activeCount }
    var local: Address { download.table.flow(of: download.slot).local }

    func ack(_ block: UInt64) {
        download.ack(block)
        if let outlived = download.table.takeOutlivedRival() { download.table.release(outlived) }
    }

    func ackFromStranger(_ block: UInt64) {
        let stranger = Endpoint(address: Download.client.address, port: 2001)
        let flow = Flow(peer: stranger, local: Download.address, socket: 1)
        if download.table.find(flow) == nil { download.perform(.fail(.unknownTransferID)) }
    }

    func error(_ code: ErrorCode, isWrongBlock: Bool) {
        download.perform(
            download.table.stepError(download.slot, code: code, isWrongBlock: isWrongBlock))
    }

    func requestAgain() {
        guard case .rival(let old) = download.judge() else {
            _ = download.repeatRequest()
            return
        }
        download.openSecond(old, byteCount: served.byteCount)
    }

    func wait(_ milliseconds: UInt64) { download.wait(milliseconds) }
    func forget() { download.forget() }
}
