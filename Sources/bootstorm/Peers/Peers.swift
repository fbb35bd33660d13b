internal import ArgumentParser
internal import FoundationEssentials
internal import TFTPPeer
internal import TFTPServer

/// `bootstorm peers`: how a node and those it knows are doing.
struct Peers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a node has fetched, from which peers, and which peers it distrusts.")

    @Argument(help: "tftp://HOST[:PORT] or HOST[:PORT].")
    var node: NodeURL

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var seal: SealKeyOption

    func validate() throws { _ = try seal.keys() }

    func run() async throws {
        let text = try await node.text(
            PeerReport.name, byteCountMax: PeerReport.byteCountMax, sealKeys: try seal.keys())
        guard let report = PeerReport(text) else { throw NodeURL.isNoNode(node.host) }
        guard !json else {
            return StandardOutput.write(try Report(report).jsonLine)
        }
        for (name, value) in report.numbers {
            StandardOutput.write("\(padded(name, 18))\(value)".inOneLine + "\n")
        }
        guard !report.peers.isEmpty else { return }
        StandardOutput.write(row("PEER", "STATE", "BYTES FROM IT", "WRONG CHUNKS"))
        for peer in report.peers {
            let name = peer.isOrigin ? "\(peer.address) (origin)" : peer.address
            StandardOutput.write(
                row(name, peer.state, "\(peer.byteCount)", "\(peer.badChunkCount)"))
        }
    }

    private func row(_ name: String, _ state: String, _ bytes: String, _ bad: String) -> String {
        "\(padded(name, 32))\(padded(state, 9))\(padded(bytes, 16))\(bad)".inOneLine + "\n"
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private struct Report: Encodable {
        struct Peer: Encodable {
            let address: String
            let isOrigin: Bool
            let state: String
            let bytes: UInt64
            let wrongChunks: Int
        }

        let numbers: [String: UInt64]
        let peers: [Peer]

        init(_ report: PeerReport) {
            numbers = Dictionary(report.numbers.map { ($0.name, $0.value) }) { $1 }
            peers = report.peers.map {
                Peer(
                    address: $0.address, isOrigin: $0.isOrigin, state: $0.state,
                    bytes: $0.byteCount, wrongChunks: $0.badChunkCount)
            }
        }
    }
}
