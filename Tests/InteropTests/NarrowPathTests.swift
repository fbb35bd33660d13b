import Foundation
import Testing

/// A path that takes less than its link: a network namespace of its own, whose loopback route has
/// an MTU of 1000.
private enum NarrowPath {
    static let namespace = ["unshare", "--user", "--map-root-user", "--net", "bash", "-c"]

    static let route = """
        ip link set lo up && ip route replace local 127.0.0.1 dev lo proto kernel scope host \
        src 127.0.0.1 table local mtu 1000 || exit 1

        """

    /// Serves, fetches with curl in lockstep and with a storm in windows, and says how both ended.
    static let script =
        route + """
            "$1" serve root --listen 127.0.0.1:7069 >server.out 2>&1 & server=$!
            until grep -q listening server.out; do kill -0 $server || exit 1; sleep 0.02; done
            url=tftp://127.0.0.1:7069/file.bin
            curl --silent --max-time 20 --tftp-blksize 1468 -o got $url && cmp root/file.bin got
            lockstep=$?
            timeout 20 "$1" bench $url --clients 2 --blksize 1468 --windowsize 16
            windows=$?
            kill $server; wait $server
            cat server.out
            exit $((lockstep + windows))
            """

    /// Whether this system lets us make one.
    static let isPossible: Bool = {
        let probe = Process()
        probe.executableURL = URL(filePath: "/usr/bin/env")
        probe.arguments = namespace + [route]
        probe.standardOutput = FileHandle.nullDevice
        probe.standardError = FileHandle.nullDevice
        guard (try? probe.run()) != nil else { return false }
        probe.waitUntilExit()
        return probe.terminationStatus == 0
    }()
}

extension InteropTests {
    @Suite(.enabled(if: NarrowPath.isPossible, "no network namespace can be made here"))
    struct NarrowPathTests {
        /// Blocks leave in fragments, and windows packet by packet.
        @Test func blocksThatDoNotFitThePathStillArrive() async throws {
            let folder = FileManager.default.temporaryDirectory
                .appending(path: "bootstorm-narrow-\(UUID().uuidString)")
            let root = folder.appending(path: "root")
            try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            try Content.bytes(300_000).write(to: root.appending(path: "file.bin"))
            let child = try ChildProcess(
                URL(filePath: "/usr/bin/env"),
                NarrowPath.namespace + [NarrowPath.script, "bash", Bootstorm.executable.path],
                output: folder.appending(path: "script.out"))
            let status = try await child.exitStatus(within: .seconds(60))
            #expect(status == 0, "\(child.output)")
            #expect(child.output.contains("2 transfers, 0 failed"), "\(child.output)")
        }
    }
}
