internal import TFTPMonitor
internal import TFTPPeer

/// Status and metrics of a node of a group.
extension PeerNode {
    /// For `status`.
    var statusSections: [String: [String: String]] {
        [
            "peers": [
                "fetches": "\(statistics.fetchCount)",
                "bytes from peers": "\(statistics.peerByteCount)",
                "bytes from origins": "\(statistics.originByteCount)",
                "unverified bytes": "\(statistics.unverifiedByteCount)",
                "bad chunks": "\(statistics.badChunkCount)",
                "failovers": "\(statistics.failoverCount)",
            ]
        ]
    }

    /// For Prometheus.
    var metrics: [MetricsPage.Extra] {
        func single(_ name: String, _ help: String, _ value: some BinaryInteger)
            -> MetricsPage.Extra
        {
            MetricsPage.Extra("bootstorm_\(name)", .counter, help, [([], Double(value))])
        }
        return [
            single("fetches_total", "Files that began to be fetched.", statistics.fetchCount),
            MetricsPage.Extra(
                "bootstorm_fetched_bytes_total", .counter,
                "Bytes fetched, by where they came from.",
                [
                    ([("source", "peer")], Double(statistics.peerByteCount)),
                    ([("source", "origin")], Double(statistics.originByteCount)),
                ]),
            single(
                "unverified_bytes_total", "Bytes fetched that no manifest could be found for.",
                statistics.unverifiedByteCount),
            single(
                "bad_chunks_total", "Chunks that were not what their manifest says.",
                statistics.badChunkCount),
            single(
                "source_failovers_total", "Sources left for another in the middle of a file.",
                statistics.failoverCount),
        ]
    }
}
