import Testing

@testable import bootstorm

struct ServiceEnvironmentTests {
    @Test
    func nothing() {
        let environment = ServiceEnvironment([:], processID: 7)
        #expect(environment.notifySocket == nil)
        #expect(environment.watchdog == nil)
        #expect(environment.sockets.isEmpty)
    }

    @Test(arguments: ["/run/systemd/notify", "@bootstorm"])
    func pathsAndAbstractNames(name: String) {
        #expect(ServiceEnvironment(["NOTIFY_SOCKET": name], processID: 7).notifySocket == name)
    }

    @Test(arguments: ["", "relative", "vsock:2:1"])
    func otherNamesAreIgnored(name: String) {
        #expect(ServiceEnvironment(["NOTIFY_SOCKET": name], processID: 7).notifySocket == nil)
    }

    @Test
    func theWatchdogIsOfThisProcess() {
        let values = ["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"]
        #expect(ServiceEnvironment(values, processID: 7).watchdog == .seconds(3))
        #expect(ServiceEnvironment(values, processID: 8).watchdog == nil)
    }

    @Test
    func socketsWithNames() {
        let values = ["LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "tftp::metrics"]
        let sockets = ServiceEnvironment(values, processID: 7).sockets
        #expect(sockets.map(\.file) == [3, 4, 5])
        #expect(sockets.map(\.name) == ["tftp", "", "metrics"])
    }

    @Test
    func socketsOfAnotherProcess() {
        let values = ["LISTEN_PID": "8", "LISTEN_FDS": "1"]
        #expect(ServiceEnvironment(values, processID: 7).sockets.isEmpty)
    }

    @Test(arguments: ["0", "-1", "x", "100000"])
    func countsThatAreNone(count: String) {
        let values = ["LISTEN_PID": "7", "LISTEN_FDS": count]
        let environment = ServiceEnvironment(values, processID: 7)
        #expect(environment.sockets.isEmpty)
        #expect(environment.invalidSocketCount == (count == "0" ? nil : count))
    }
}
