import Foundation
import Glibc
import Logging
import TFTPMetrics
import TFTPServer
import Testing

@testable import TFTPMonitor

struct PrometheusTextTests {
    @Test func oneFamily() {
        var page = PrometheusText()
        page.begin("x_total", .counter, "What\nit \\ is.")
        page.add("x_total", [("name", "a\"b\\c\nd")], UInt64(3))
        #expect(
            page.text == """
                # HELP x_total What\\nit \\\\ is.
                # TYPE x_total counter
                x_total{name="a\\"b\\\\c\\nd"} 3

                """)
    }

    @Test func bucketsAreCumulative() {
        var page = PrometheusText()
        page.addHistogram(
            "t_seconds", [("way", "a")], bounds: [1_000_000, 2_500_000], counts: [1, 2, 4],
            sumNanoseconds: 1_500_000_000)
        #expect(
            page.text == """
                t_seconds_bucket{way="a",le="0.001"} 1
                t_seconds_bucket{way="a",le="0.0025"} 3
                t_seconds_bucket{way="a",le="+Inf"} 7
                t_seconds_sum{way="a"} 1.5
                t_seconds_count{way="a"} 7

                """)
    }
}

/// A server, its listener, and clients by hand.
@Suite(.serialized)
struct MonitorTests {
    private func get(_ address: String, _ path: String) async throws -> (Int, String) {
        let url = try #require(URL(string: "http://\(address)\(path)"))
        let text = try await HTTPProbe.get(url)
        let parts = text.components(separatedBy: "\r\n\r\n")
        let words = parts[0].split(separator: " ")
        let status = words.count > 1 ? Int(words[1]) ?? 0 : 0
        return (status, parts.dropFirst().joined(separator: "\r\n\r\n"))
    }

    private func value(_ page: String, _ name: String) -> Double {
        page.split(separator: "\n").filter { $0.hasPrefix(name) }
            .compactMap { Double($0.split(separator: " ").last ?? "") }.reduce(0, +)
    }

    @Test func whatHappensMovesItsMetric() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "monitor-\(UUID())")
            .path
        try FileManager.default.createDirectory(
            atPath: folder + "/sub", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data(repeating: 7, count: 3000).write(to: URL(filePath: folder + "/file"))
        var configuration = TFTPServer.Configuration(root: folder)
        configuration.listen = [try TFTPServer.ListenAddress("127.0.0.1:0")]
        configuration.shards = 1
        configuration.upload = .create
        configuration.version = "1.2.3"
        let server = TFTPServer(
            configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let pages = MonitorPages(server)
        let listener = try await HTTPListener.start(host: "127.0.0.1", port: 0) {
            await pages.answer($0)
        }
        defer { listener.stop() }
        #expect(try await get(listener.address, "/readyz").0 == 503)
        #expect(try await get(listener.address, "/healthz").0 == 200)
        let running = Task { try await server.run() }
        let address = try await server.waitUntilListening()[0]
        #expect(try await get(listener.address, "/readyz").0 == 200)
        #expect(try await get(listener.address, "/nothing").0 == 404)

        let client = try DatagramProbe(address)
        try client.read("file", options: "blksize\01000\0")
        try client.read("missing")
        try client.read("pxelinux.cfg/C0A8")
        try client.read("sub")
        try client.write("up", [1, 2, 3])
        try client.send([0, 99, 1])
        let wanted: [(String, Double)] = [
            ("bootstorm_build_info{version=\"1.2.3\"}", 1),
            ("bootstorm_requests_total{direction=\"read\"}", 4),
            ("bootstorm_requests_total{direction=\"write\"}", 1),
            ("bootstorm_transfers_total{direction=\"read\",outcome=\"done\"", 1),
            ("bootstorm_transfers_total{direction=\"write\",outcome=\"done\"", 1),
            ("bootstorm_transfers_total{direction=\"read\",outcome=\"refused\"", 3),
            ("bootstorm_refusals_total{reason=\"not_found\"}", 2),
            ("bootstorm_misses_total{pattern=\"pxelinux.cfg/IP\"}", 1),
            ("bootstorm_misses_total{pattern=\"other\"}", 1),
            ("bootstorm_refusals_total{reason=\"not_regular\"}", 1),
            ("bootstorm_transferred_bytes_total{direction=\"read\"}", 3000),
            ("bootstorm_transferred_bytes_total{direction=\"write\"}", 3),
            ("bootstorm_transfer_duration_seconds_count{direction=\"read\"}", 1),
            ("bootstorm_transfer_duration_seconds_count{direction=\"write\"}", 1),
            ("bootstorm_request_turnaround_seconds_count", 2),
            ("bootstorm_started_transfers_total", 2),
            ("bootstorm_sent_bytes_total", 3000),
            ("bootstorm_cache_images", 1),
            ("bootstorm_cache_read_bytes_total", 3000),
            ("bootstorm_malformed_datagrams_total", 1),
        ]
        var page = ""
        let end = ContinuousClock.now + .seconds(20)
        repeat {
            page = try await get(listener.address, "/metrics").1
        } while wanted.contains(where: { value(page, $0.0) != $0.1 }) && ContinuousClock.now < end
        for (name, count) in wanted { #expect(value(page, name) == count, "\(name)") }
        #expect(value(page, "bootstorm_shard_busy_seconds_total") > 0)
        #expect(value(page, "bootstorm_shard_turns_total") > 0)
        server.stop(drain: .zero)
        try await running.value
        #expect(try await get(listener.address, "/metrics").0 == 503)
    }

    /// What is not HTTP, and what never ends, gets no further than its own connection.
    @Test func garbageIsNotAnswered() async throws {
        var limits = HTTPListener.Limits()
        limits.request = .milliseconds(500)
        let listener = try await HTTPListener.start(host: "127.0.0.1", port: 0, limits: limits) {
            _ in HTTPListener.Answer(body: "x")
        }
        defer { listener.stop() }
        let port = try #require(Int(listener.address.split(separator: ":").last ?? ""))
        let post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        for text in ["\0\0\0\r\n\r\n", "GET\r\n\r\n", post] {
            let answer = try HTTPProbe.raw(port: port, text)
            #expect(!answer.contains("200 OK"), "\(text)")
        }
        #expect(try await get(listener.address, "/").0 == 200)
    }

    /// Why an address cannot be listened on is the system's text, and not the library's.
    @Test func aPortInUse() async throws {
        let listener = try await HTTPListener.start(host: "127.0.0.1", port: 0) { _ in nil }
        defer { listener.stop() }
        let port = try #require(Int(listener.address.split(separator: ":").last ?? ""))
        let failure = await #expect(throws: HTTPListener.ListenFailure.self) {
            try await HTTPListener.start(host: "127.0.0.1", port: port) { _ in nil }
        }
        #expect(failure?.description == "Address already in use")
    }

    /// Held connections keep no reader out: the oldest of them is closed.
    @Test func heldConnectionsShutNobodyOut() async throws {
        let listener = try await HTTPListener.start(host: "127.0.0.1", port: 0) { _ in
            HTTPListener.Answer(body: "x")
        }
        defer { listener.stop() }
        let port = try #require(Int(listener.address.split(separator: ":").last ?? ""))
        let held = try (0..<200).map { _ in try HTTPProbe.open(port: port) }
        defer { for file in held { close(file) } }
        #expect(try await get(listener.address, "/").0 == 200)
    }

    /// A request that does not come to its end, and one that begins again and again, is closed.
    @Test(arguments: ["", "GET / HTTP/1.1\r\n"])
    func slowRequestsEnd(_ text: String) async throws {
        var limits = HTTPListener.Limits()
        limits.request = .milliseconds(200)
        let listener = try await HTTPListener.start(host: "127.0.0.1", port: 0, limits: limits) {
            _ in HTTPListener.Answer(body: "x")
        }
        defer { listener.stop() }
        let port = try #require(Int(listener.address.split(separator: ":").last ?? ""))
        let file = try HTTPProbe.open(port: port)
        defer { close(file) }
        #expect(HTTPProbe.exchange(file, text) == "")
    }
}
