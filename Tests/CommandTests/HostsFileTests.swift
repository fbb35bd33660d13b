import TFTPCore
import TFTPNames
import Testing

@testable import bootstorm

struct HostsFileTests {
    private func problem(_ text: String, isYAML: Bool = false) -> String? {
        do {
            _ = try isYAML ? HostsFile.yaml(text) : HostsFile.csv(text)
            return nil
        } catch {
            let problem = error as? HostsFile.Problem
            return problem.map { "\($0.line): \($0.text)" } ?? "\(error)"
        }
    }

    /// RFC 4180: what is in quotes is one cell, as it stands.
    @Test func quotes() throws {
        let records = try CSVRecord.all(
            in: "name, ip ,rack\r\n\"node,1\", 10.0.0.1 ,\"r \"\"1\"\" \"\r\n\n"
                + "# c\nx,,\"a\nb\"\ny,,z")
        #expect(
            records == [
                CSVRecord(line: 1, cells: ["name", "ip", "rack"]),
                CSVRecord(line: 2, cells: ["node,1", "10.0.0.1", "r \"1\" "]),
                CSVRecord(line: 5, cells: ["x", "", "a\nb"]),
                CSVRecord(line: 7, cells: ["y", "", "z"]),
            ])
        let table = try HostsFile.csv("name,ip,rack\n\"node,1\",10.0.0.1,\"r 1\"\n")
        let address = try #require(Address(numericText: "10.0.0.1"))
        let host = table.host(mac: nil, address: address)
        #expect(host?.name == "node,1")
        #expect(host?.fields == ["rack": "r 1"])
    }

    @Test(arguments: [
        ("ip\n\"10.0.0.1\n", "2: a quote is not closed"),
        ("ip\n\"10.0.0.1\"x\n", "2: more behind a closing quote"),
        ("ip,mac,mac\n", "1: the column 'mac' is there twice"),
        ("ip\n10.0.0.1\n10.0.0.1\n", "3: the same 'ip' as in line 2"),
        (
            "mac\n52:54:00:00:00:01\n\n52-54-00-00-00-01\n", "4: the same 'mac' as in line 2"
        ),
        ("ip,name\n10.0.0.1\n", "2: 1 cells where the first line has 2"),
    ])
    func wrongTables(text: String, line: String) {
        #expect(problem(text) == line)
    }

    @Test func oneAddressTwiceInYAML() {
        let text = "- ip: 10.0.0.1\n- ip: 10.0.0.1\n"
        #expect(problem(text, isYAML: true) == "2: the same 'ip' as in line 1")
    }
}
