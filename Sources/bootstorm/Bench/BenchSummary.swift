internal import FoundationEssentials
internal import Histogram
internal import TFTPCore
internal import TFTPLoad
internal import TFTPReactor

/// The report of a storm, for people and for machines. Times in seconds, sizes in bytes; GB is 10^9
/// bytes.
struct BenchSummary: Codable {
    struct Latency: Codable {
        var mean: Double
        var p50: Double
        var p90: Double
        var p99: Double
        var p999: Double
        var max: Double
        /// The histogram: times up to `upTo` seconds, each count since the bucket before.
        var histogram: [Bucket]

        struct Bucket: Codable {
            var upTo: Double
            var count: Int
        }
    }

    /// How long nothing came from the server while machines waited, in seconds.
    struct SilenceTimes: Codable {
        var longest: Double
        var atEnd: Double
    }

    struct Server: Codable {
        var pid: Int32
        var cpuSeconds: Double
        var cpuSecondsPerGB: Double?
        var cpuMicrosecondsPerTransfer: Double?
        var peakMemoryBytes: Int
    }

    struct Parameters: Codable {
        var server: String
        var files: [String]
        var clients: Int
        var kinds: [String]
        var transfers: Int?
        var seconds: Double?
        var rate: Double?
        var ramp: Double
        var blksize: UInt16?
        var windowsize: UInt16?
        var timeout: UInt8?
        var shards: Int
        var gro: Bool
        var impair: String?
        var seed: UInt64
    }

    struct WrongByte: Codable {
        var name: String
        var block: UInt64
        var offset: Int
    }

    /// What was done since the interval before.
    struct Interval: Codable {
        /// When it ended, from the beginning of the storm.
        var seconds: Double
        var bytes: UInt64
        var packets: UInt64
        var transfers: Int
        var failed: Int
        /// Machines that booted at its end, and boots that were due and had not begun.
        var running: Int
        var late: Int
    }

    /// The version of these keys; it rises when one changes its meaning or goes.
    var schemaVersion = BenchSummary.currentSchemaVersion
    var environment = RunEnvironment.current()
    var parameters: Parameters
    var interrupted: Bool
    var seconds: Double
    var transfers: Int
    var failed: Int
    /// With a rate: boots that were due. Otherwise those that began.
    var offered: Int
    var begun: Int
    /// Boots that were due and never began.
    var dropped: Int
    /// Under way when the time was up or the storm interrupted.
    var unfinished: Int
    /// Boots that never ended and whose wait counts in `transferTime`.
    var waiting: Int
    var silence: SilenceTimes
    /// Why the exit code is not 0.
    var problems: [String] = []
    var bytes: UInt64
    var megabytesPerSecond: Double
    var transfersPerSecond: Double
    var packetsIn: UInt64
    var packetsOut: UInt64
    var packetsPerSecond: Double
    var turnaround: Latency
    var transferTime: Latency
    var retransmissions: UInt64
    var duplicates: UInt64
    var gaps: UInt64
    var strays: UInt64
    var malformed: UInt64
    /// Packets that the kernel did not take.
    var unsent: UInt64
    var failures: [String: Int]
    var errorsByCode: [String: Int]
    var wrongByte: WrongByte?
    var ownCPUSeconds: Double
    var ownCPUMicrosecondsPerPacket: Double
    var server: Server?
    var relay: RelaySummary?
    var timeline: [Interval]

    static let currentSchemaVersion = 2

    /// The timeline.
    var csv: String {
        let rows = timeline.map {
            "\(decimal($0.seconds, 3)),\($0.bytes),\($0.packets),\($0.transfers),\($0.failed),"
                + "\($0.running),\($0.late)\n"
        }
        return "seconds,bytes,packets,transfers,failed,running,late\n" + rows.joined()
    }
}

extension BenchSummary {
    init(_ report: StormReport, _ bench: BenchRun, _ usage: ProcessUsage?) {
        let gigabytes = Double(report.byteCount) / 1e9
        let seconds = max(report.seconds, 1e-9)
        parameters = Parameters(bench)
        interrupted = report.wasInterrupted
        self.seconds = report.seconds
        transfers = report.doneCount
        failed = report.failedCount
        offered = report.offeredCount
        begun = report.begunCount
        dropped = report.droppedCount
        unfinished = report.unfinishedCount
        waiting = report.waitingCount
        silence = SilenceTimes(
            longest: Double(report.silence?.longestNanoseconds ?? 0) / 1e9,
            atEnd: Double(report.silence?.currentNanoseconds ?? 0) / 1e9)
        bytes = report.byteCount
        megabytesPerSecond = Double(report.byteCount) / seconds / 1e6
        transfersPerSecond = Double(report.doneCount) / seconds
        packetsIn = report.packetsIn
        packetsOut = report.packetsOut
        packetsPerSecond = Double(report.packetsIn + report.packetsOut) / seconds
        turnaround = Latency(report.turnaround)
        transferTime = Latency(report.bootTime)
        retransmissions = report.retransmissionCount
        duplicates = report.duplicateCount
        gaps = report.gapCount
        strays = report.strayCount
        malformed = report.malformedCount
        unsent = report.unsentCount
        failures = report.causes
        errorsByCode = Dictionary(
            uniqueKeysWithValues: report.errorsByCode.map { ("\($0)", $1) })
        wrongByte = report.firstWrongByte.map {
            WrongByte(name: $0.name, block: $0.block, offset: $0.offset)
        }
        ownCPUSeconds = report.ownCPUSeconds
        let packets = Double(max(1, report.packetsIn + report.packetsOut))
        ownCPUMicrosecondsPerPacket = report.ownCPUSeconds / packets * 1e6
        server = usage.map { usage in
            Server(
                pid: bench.serverPid ?? 0, cpuSeconds: usage.cpuSeconds,
                cpuSecondsPerGB: gigabytes > 0 ? usage.cpuSeconds / gigabytes : nil,
                cpuMicrosecondsPerTransfer: report.doneCount > 0
                    ? usage.cpuSeconds / Double(report.doneCount) * 1e6 : nil,
                peakMemoryBytes: usage.peakByteCount)
        }
        timeline = BenchSummary.intervals(report.timeline)
    }

    private static func intervals(_ moments: [StormSample]) -> [Interval] {
        let earlier = [StormSample(seconds: 0)] + moments
        return zip(earlier, moments).map { before, now in
            Interval(
                seconds: now.seconds, bytes: now.byteCount - before.byteCount,
                packets: now.packetCount - before.packetCount,
                transfers: now.doneCount - before.doneCount,
                failed: now.failedCount - before.failedCount, running: now.runningCount,
                late: now.lateCount)
        }
    }

    /// The first line of the report.
    var headline: String {
        "\(transfers) transfers, \(failed) failed, "
            + (dropped > 0 ? "\(dropped) dropped, " : "")
            + (unfinished > 0 ? "\(unfinished) unfinished, " : "")
            + "\(bytes) bytes in \(decimal(seconds, 3)) s" + (interrupted ? " (interrupted)" : "")
    }

    /// The report for people.
    var text: String {
        var lines = [
            headline,
            "throughput     \(decimal(megabytesPerSecond, 1)) MB/s, \(decimal(transfersPerSecond, 1)) "
                + "transfers/s, \(decimal(packetsPerSecond, 0)) packets/s",
            "turn-around    \(turnaround.text)",
            "transfer time  \(transferTime.text)",
            "repeats        \(retransmissions) sent, \(duplicates) duplicates, \(gaps) gaps, "
                + "\(strays) strays, \(malformed) malformed",
            "own CPU        \(decimal(ownCPUSeconds, 2)) s, "
                + "\(decimal(ownCPUMicrosecondsPerPacket, 2)) us a packet",
        ]
        if parameters.rate != nil {
            lines.append(
                "offered        \(offered) boots, \(begun) begun, \(dropped) dropped, "
                    + "\(unfinished) unfinished; the wait of \(waiting) counts in the transfer time"
            )
        }
        if let server {
            lines.append(
                "server         \(decimal(server.cpuSeconds, 2)) s CPU, "
                    + "\(server.cpuSecondsPerGB.map { decimal($0, 3) } ?? "-") s/GB, "
                    + "\(server.cpuMicrosecondsPerTransfer.map { decimal($0, 1) } ?? "-") us a transfer, "
                    + "\(server.peakMemoryBytes >> 20) MiB at most")
        }
        if unsent > 0 {
            lines.append("not sent       \(unsent) packets: the kernel did not take them")
        }
        if let relay {
            lines.append("impairment     \(relay.impairment), seed \(parameters.seed)")
            lines += relay.lines
        }
        for (cause, count) in failures.sorted(by: { $0.value > $1.value }) {
            lines.append("failed         \(count) × \(cause)")
        }
        if let wrongByte {
            lines.append(
                "wrong byte     \"\(wrongByte.name)\" block \(wrongByte.block), offset \(wrongByte.offset)"
            )
        }
        for (code, count) in errorsByCode.sorted(by: { $0.key < $1.key }) {
            lines.append("received       \(count) × ERROR \(code)")
        }
        for problem in problems { lines.append("FAILED         \(problem)") }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension BenchSummary.Latency {
    init(_ histogram: Histogram<UInt64>) {
        func seconds(_ percentile: Double) -> Double {
            histogram.totalCount == 0 ? 0 : Double(histogram.valueAtPercentile(percentile)) / 1e9
        }
        self.init(
            mean: histogram.totalCount == 0 ? 0 : histogram.mean / 1e9, p50: seconds(50),
            p90: seconds(90), p99: seconds(99), p999: seconds(99.9),
            max: histogram.totalCount == 0 ? 0 : Double(histogram.max) / 1e9,
            histogram: histogram.recordedValues().map {
                Bucket(upTo: Double($0.value) / 1e9, count: Int($0.count))
            })
    }

    var text: String {
        let parts = [("p50", p50), ("p90", p90), ("p99", p99), ("p99.9", p999), ("max", max)]
        return parts.map { "\($0) \(decimal($1 * 1000, 3)) ms" }.joined(separator: ", ")
    }
}

extension BenchSummary.Parameters {
    init(_ bench: BenchRun) {
        server = bench.url?.host ?? ""
        files = (bench.url.map { [$0.name] } ?? []) + bench.file.map { "\($0.name):\($0.weight)" }
        clients = bench.clients
        kinds = bench.client.map { "\($0.kind.rawValue):\($0.share)" }
        transfers = bench.transfers
        seconds = bench.seconds
        rate = bench.rate
        ramp = bench.ramp
        blksize = bench.blksize
        windowsize = bench.windowsize
        timeout = bench.timeout
        shards = bench.shards
        gro = bench.gro
        impair = bench.impair?.text
        seed = bench.seed
    }
}
