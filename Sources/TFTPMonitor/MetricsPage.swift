internal import TFTPMetrics
package import TFTPServer

/// `/metrics` of a server.
package enum MetricsPage {
    /// Metrics of another part of the program, such as peers: families that are whole.
    package struct Extra: Sendable {
        package var name: String
        package var kind: PrometheusText.Kind
        package var help: String
        package var samples: [(labels: [(String, String)], value: Double)]

        package init(
            _ name: String, _ kind: PrometheusText.Kind, _ help: String,
            _ samples: [(labels: [(String, String)], value: Double)]
        ) {
            self.name = name
            self.kind = kind
            self.help = help
            self.samples = samples
        }
    }

    /// The page.
    package static func text(_ sample: MetricsSample, extras: [Extra] = []) -> String {
        var page = PrometheusText()
        addServer(sample, to: &page)
        addTransfers(sample, to: &page)
        addRefusals(sample, to: &page)
        addTimes(sample, to: &page)
        addCache(sample.cache, to: &page)
        addShards(sample.shards, to: &page)
        addCounters(sample, to: &page)
        for extra in extras {
            page.begin(extra.name, extra.kind, extra.help)
            for (labels, value) in extra.samples { page.add(extra.name, labels, value) }
        }
        return page.text
    }

    private static func addServer(_ sample: MetricsSample, to page: inout PrometheusText) {
        page.begin("bootstorm_build_info", .gauge, "Version of the running program.")
        page.add("bootstorm_build_info", [("version", sample.version)], 1)
        page.begin(
            "bootstorm_start_time_seconds", .gauge,
            "When the server began to answer, in seconds since 1970.")
        page.add("bootstorm_start_time_seconds", [], sample.startedAtSeconds)
        page.begin("bootstorm_draining", .gauge, "1 while the server takes no new transfer.")
        page.add("bootstorm_draining", [], sample.isDraining ? 1 : 0)
    }

    private static func addTransfers(_ sample: MetricsSample, to page: inout PrometheusText) {
        page.begin("bootstorm_requests_total", .counter, "Read and write requests received.")
        for way in sample.ways {
            page.add("bootstorm_requests_total", label(way), way.requestCount)
        }
        page.begin(
            "bootstorm_transfers_total", .counter,
            "Transfers and refused requests that have ended, by kind of client.")
        for transfers in sample.transfers {
            page.add(
                "bootstorm_transfers_total",
                [
                    ("direction", transfers.direction), ("outcome", transfers.outcome),
                    ("kind", transfers.kind),
                ], transfers.count)
        }
        page.begin("bootstorm_transfers_running", .gauge, "Transfers under way, by phase.")
        for (phase, count) in sample.phases where phase != "dallying" {
            page.add("bootstorm_transfers_running", [("phase", phase)], count)
        }
        page.begin(
            "bootstorm_transfers_waiting", .gauge, "Transfers that wait for content to be read.")
        page.add("bootstorm_transfers_waiting", [], sample.waitingCount)
        page.begin(
            "bootstorm_transferred_bytes_total", .counter,
            "Payload bytes of transfers that have ended.")
        for way in sample.ways {
            page.add("bootstorm_transferred_bytes_total", label(way), way.byteCount)
        }
        page.begin(
            "bootstorm_resent_blocks_total", .counter,
            "Blocks sent more than once, of transfers that have ended.")
        for way in sample.ways {
            page.add("bootstorm_resent_blocks_total", label(way), way.resentCount)
        }
    }

    private static func label(_ way: MetricsSample.Way) -> [(String, String)] {
        [("direction", way.direction)]
    }

    private static func addRefusals(_ sample: MetricsSample, to page: inout PrometheusText) {
        page.begin(
            "bootstorm_refusals_total", .counter,
            "Requests refused and transfers ended by the server with an ERROR, by reason.")
        for (reason, count) in sample.refusals {
            page.add("bootstorm_refusals_total", [("reason", reason)], count)
        }
        page.begin(
            "bootstorm_misses_total", .counter,
            "Downloads of missing files, by kind of name.")
        for (pattern, count) in sample.misses {
            page.add("bootstorm_misses_total", [("pattern", pattern)], count)
        }
    }

    private static func addTimes(_ sample: MetricsSample, to page: inout PrometheusText) {
        let bounds = DurationHistogram.bounds
        page.begin(
            "bootstorm_transfer_duration_seconds", .histogram,
            "From the request to the end of a transfer.")
        for way in sample.ways {
            page.addHistogram(
                "bootstorm_transfer_duration_seconds", label(way), bounds: bounds,
                counts: way.durations.counts, sumNanoseconds: way.durations.sumNanoseconds)
        }
        page.begin(
            "bootstorm_request_turnaround_seconds", .histogram,
            "From a request to its first answer: finding the file, handlers and origins.")
        page.addHistogram(
            "bootstorm_request_turnaround_seconds", [], bounds: bounds,
            counts: sample.turnarounds.counts, sumNanoseconds: sample.turnarounds.sumNanoseconds)
    }

    private static func addCache(_ cache: CacheStatus, to page: inout PrometheusText) {
        page.begin("bootstorm_cache_used_bytes", .gauge, "Memory in use for file content.")
        page.add("bootstorm_cache_used_bytes", [], cache.usedByteCount)
        page.begin("bootstorm_cache_limit_bytes", .gauge, "Memory for file content.")
        page.add("bootstorm_cache_limit_bytes", [], cache.sizeByteCount)
        page.begin("bootstorm_cache_images", .gauge, "Files in memory.")
        page.add("bootstorm_cache_images", [], cache.imageCount)
        page.single(
            "bootstorm_cache_evictions_total", .counter,
            "Extents of 1 MiB evicted to make room for others.", cache.evictedCount)
        page.single(
            "bootstorm_cache_read_bytes_total", .counter, "Bytes read from files.",
            cache.readByteCount)
    }

    private static func addShards(_ shards: [ShardStatus], to page: inout PrometheusText) {
        page.begin("bootstorm_shard_transfers", .gauge, "Transfers under way, by shard.")
        for shard in shards {
            page.add("bootstorm_shard_transfers", [("shard", "\(shard.index)")], shard.activeCount)
        }
        page.begin(
            "bootstorm_shard_busy_seconds_total", .counter, "CPU time of each shard's thread.")
        for shard in shards {
            guard let seconds = shard.cpuSeconds else { continue }
            page.add("bootstorm_shard_busy_seconds_total", [("shard", "\(shard.index)")], seconds)
        }
        page.begin("bootstorm_shard_turns_total", .counter, "Turns of each shard's loop.")
        for shard in shards {
            page.add("bootstorm_shard_turns_total", [("shard", "\(shard.index)")], shard.turns)
        }
        page.begin("bootstorm_shard_sent_bytes_total", .counter, "Payload bytes sent, by shard.")
        for shard in shards {
            page.add(
                "bootstorm_shard_sent_bytes_total", [("shard", "\(shard.index)")], shard.bytesSent)
        }
    }

    /// What shards count by name: each is a counter of its own.
    private static func addCounters(_ sample: MetricsSample, to page: inout PrometheusText) {
        for (counter, name, help) in countersShown {
            page.single("bootstorm_\(name)_total", .counter, help, sample.counters[counter] ?? 0)
        }
    }

    private static let countersShown: [(TFTPMetrics.Counter, String, String)] = [
        (.datagramsReceived, "received_datagrams", "Datagrams received."),
        (.datagramsMalformed, "malformed_datagrams", "Datagrams that are no TFTP packet."),
        (.datagramsTruncated, "truncated_datagrams", "Datagrams longer than any request."),
        (.datagramsStray, "stray_datagrams", "Packets that belong to no transfer."),
        (.datagramsIgnored, "ignored_datagrams", "Datagrams of senders that cannot be answered."),
        (.datagramsForged, "forged_datagrams", "Packets whose seal is wrong."),
        (.requestsRepeated, "repeated_requests", "Requests repeated by the client."),
        (.requestsBusy, "busy_requests", "Requests dropped or refused for lack of room."),
        (
            .requestsLimited, "limited_requests",
            "Requests refused by the access list or a limit of their client or network."
        ),
        (.sendsDelayed, "delayed_sends", "Times that a transfer waited for its bytes a second."),
        (
            .turnsRefused, "refused_turns",
            "Blocks withheld: too many unproven clients waited for their bytes a second."
        ),
        (.transfersStarted, "started_transfers", "Transfers begun."),
        (.transfersParked, "content_waits", "Times that a transfer waited for content."),
        (.messagesSent, "sent_messages", "Messages handed to the kernel; a batch is one."),
        (.blocksSent, "sent_blocks", "DATA blocks sent."),
        (.bytesSent, "sent_bytes", "Payload bytes sent."),
        (.bytesReceived, "received_bytes", "Payload bytes received."),
        (.sendsBlocked, "blocked_sends", "Sends that found no room, repaired by repeats."),
        (.sendsFailed, "failed_sends", "Sends that the kernel refused."),
        (.segmentationRefused, "refused_segmentations", "Batches refused by the kernel or link."),
        (.receivesRearmed, "rearmed_receives", "Receives that ran out of buffers."),
        (.completionsOverflowed, "completion_overflows", "Turns with an overfull ring."),
        (.uploadBlocksDropped, "dropped_upload_blocks", "Upload blocks dropped for a repeat."),
        (.recordsDropped, "dropped_log_records", "Log records dropped: the log is too slow."),
    ]
}
