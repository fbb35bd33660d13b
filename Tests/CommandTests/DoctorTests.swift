import Glibc
import Testing

@testable import bootstorm

struct DoctorTests {
    @Test(arguments: ["6.1.0", "6.12.9-arch1-1", "7.0.0-rc1"])
    func kernelsThatDo(release: String) {
        #expect(MachineCheck.kernel(release: release).grade == .ok)
    }

    @Test(arguments: ["5.15.0-91-generic", "6.0.19", "4.18.0", "unknown"])
    func kernelsThatDoNot(release: String) {
        #expect(MachineCheck.kernel(release: release).grade == .fail)
    }

    @Test
    func limits() {
        #expect(MachineCheck.files(hard: 1024).grade == .warn)
        #expect(MachineCheck.files(hard: 524_288).grade == .ok)
        #expect(MachineCheck.receiveBuffers(max: 212_992, isForced: false).grade == .warn)
        #expect(MachineCheck.receiveBuffers(max: 212_992, isForced: true).grade == .ok)
        #expect(MachineCheck.receiveBuffers(max: 4 << 20, isForced: false).grade == .ok)
    }

    @Test
    func ports() {
        #expect(MachineCheck.port(errno: 0).grade == .ok)
        #expect(MachineCheck.port(errno: EADDRINUSE).grade == .warn)
        #expect(MachineCheck.port(errno: EACCES).grade == .fail)
    }

    @Test
    func lines() {
        #expect(Finding(.ok, "kernel", "6.12").line == "ok    kernel: 6.12")
        #expect(Finding(.fail, "io_uring", "none").line == "FAIL  io_uring: none")
    }
}
