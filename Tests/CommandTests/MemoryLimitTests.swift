import Testing

@testable import bootstorm

struct MemoryLimitTests {
    @Test func unified() {
        let files = MemoryLimits.files(
            groups: "0::/system.slice/bootstorm.service\n",
            mounts: "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n")
        #expect(
            files.filter { $0.hasSuffix("max") } == [
                "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/system.slice/bootstorm.service/memory.max",
            ])
    }

    @Test func theFirstVersion() {
        let files = MemoryLimits.files(
            groups: "5:cpu,cpuacct:/a\n4:memory:/docker/abc\n",
            mounts: """
                30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
                31 24 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
                """)
        #expect(
            files == [
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
            ])
    }

    /// A container that sees its own group at the mount point, under the host's path.
    @Test func insideAContainer() {
        let files = MemoryLimits.files(
            groups: "4:memory:/docker/abc\n",
            mounts: "31 24 0:27 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n")
        #expect(files == ["/sys/fs/cgroup/memory/memory.limit_in_bytes"])
    }

    @Test func whatIsNoLimit() {
        #expect(MemoryLimits.limit("max\n") == nil)
        #expect(MemoryLimits.limit("") == nil)
        #expect(MemoryLimits.limit("201326592\n") == 201_326_592)
        #expect(MemoryLimits.files(groups: "", mounts: "nonsense\n - \n").isEmpty)
    }
}
