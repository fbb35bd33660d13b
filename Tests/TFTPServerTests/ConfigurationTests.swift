import Testing

@testable import TFTPServer

struct ConfigurationTests {
    @Test(arguments: [
        (":69", "[::]:69"), ("*:6969", "[::]:6969"), ("10.0.0.1", "10.0.0.1:69"),
        ("10.0.0.1:6969", "10.0.0.1:6969"), ("[::1]:6969", "[::1]:6969"), ("::1", "[::1]:69"),
        ("[::1]", "[::1]:69"),
        ("0.0.0.0:69", "0.0.0.0:69"), (":0", "[::]:0"), (":65535", "[::]:65535"),
    ])
    func addresses(text: String, description: String) throws {
        #expect(try TFTPServer.ListenAddress(text).description == description)
    }

    @Test(arguments: [
        "", ":", "69", "host:69", "10.0.0.1:", "10.0.0.1:65536", "10.0.0.256:69", ":-1",
        "[::1:69", "10.0.0.1:69:69", " :69", "10.0.0:69",
    ])
    func noAddresses(text: String) {
        let error = #expect(throws: TFTPServer.InvalidAddress.self) {
            try TFTPServer.ListenAddress(text)
        }
        #expect(error?.description.contains("'\(text)'") == true)
    }

    @Test func bounds() {
        typealias Configuration = TFTPServer.Configuration
        #expect(Configuration(root: "/srv/tftp").problem == nil)
        let wrong: [(String, (inout Configuration) -> Void)] = [
            ("blksize", { $0.blksizeMax = 7 }), ("blksize", { $0.blksizeMax = 65465 }),
            ("windowsize", { $0.windowsizeMax = 0 }), ("cache", { $0.cacheSize = (16 << 20) - 1 }),
            ("shards", { $0.shards = 0 }), ("shards", { $0.shards = 257 }),
            ("transfers", { $0.transfersMax = 0 }), ("ports", { $0.ports = 0...10 }),
            (
                "single port",
                {
                    $0.singlePort = true
                    $0.ports = 1000...2000
                }
            ),
        ]
        for (word, change) in wrong {
            var configuration = Configuration(root: "/srv/tftp")
            change(&configuration)
            #expect(configuration.problem?.contains(word) == true, "\(word)")
        }
    }
}
