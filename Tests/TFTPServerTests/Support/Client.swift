import Glibc

/// A TFTP client that blocks, with an end to every wait.
///
/// Its path to the server can lose and double packets: `copiesOut` and `copiesIn` say how many of
/// each arrive.
final class Client {
    let socket: UDPSocket
    let server: Endpoint
    /// Where the answers come from, once one has come.
    private(set) var tid: Endpoint?
    var copiesOut: ([UInt8]) -> Int = { _ in 1 }
    var copiesIn: ([UInt8]) -> Int = { _ in 1 }
    /// After this time without a packet the last one is sent again.
    var patience = Duration.milliseconds(700)
    var limit = Duration.seconds(20)
    /// Packets from elsewhere than the TID.
    private(set) var strayCount = 0

    init(_ server: Endpoint, from host: String? = nil, port: UInt16 = 0) throws {
        self.server = server
        socket = try UDPSocket(host ?? (server.isIPv6 ? "::1" : "127.0.0.1"), port: port)
    }

    func send(_ bytes: [UInt8], to target: Endpoint? = nil) {
        for _ in 0..<copiesOut(bytes) { socket.send(bytes, to: target ?? tid ?? server) }
    }

    /// Begins `download` and runs it until it ends or has `blocks`.
    func run(_ download: Download, until blocks: UInt64 = .max) -> Download {
        var download = download
        socket.send(download.request, to: server)
        proceed(&download, until: blocks)
        return download
    }

    /// Continues a download that has begun, until it ends or has `blocks`.
    func proceed(_ download: inout Download, until blocks: UInt64 = .max) {
        exchange {
            download.state == .running && download.received < blocks
        } step: {
            download.step($0).map { [$0] } ?? []
        } repeated: {
            [download.repeated]
        }
    }

    /// Begins `upload` and runs it until it ends or `blocks` are acknowledged.
    func run(_ upload: Upload, until blocks: UInt64 = .max) -> Upload {
        var upload = upload
        socket.send(upload.request, to: server)
        proceed(&upload, until: blocks)
        return upload
    }

    func proceed(_ upload: inout Upload, until blocks: UInt64 = .max) {
        exchange {
            upload.state == .running && upload.acked < blocks
        } step: {
            upload.step($0)
        } repeated: {
            upload.repeated
        }
    }

    private func exchange(
        while isRunning: () -> Bool, step: ([UInt8]) -> [[UInt8]], repeated: () -> [[UInt8]]
    ) {
        let end = ContinuousClock.now + limit
        while isRunning() && ContinuousClock.now < end {
            guard let datagram = socket.receive(within: patience) else {
                for bytes in repeated() { send(bytes) }
                continue
            }
            if tid == nil { tid = datagram.source }
            guard datagram.source == tid else {
                strayCount += 1
                continue
            }
            for _ in 0..<copiesIn(datagram.bytes) {
                for answer in step(datagram.bytes) { send(answer) }
            }
        }
    }

    // MARK: In one call

    static func get(
        _ name: String, _ options: [Option] = [], mode: String = "octet", from server: Endpoint
    ) throws -> Download {
        try Client(server).run(Download(name, options, mode: mode))
    }

    static func put(
        _ name: String, _ bytes: [UInt8], _ options: [Option] = [], mode: String = "octet",
        to server: Endpoint
    ) throws -> Upload {
        try Client(server).run(Upload(name, bytes, options, mode: mode))
    }

    /// Sends one packet from a fresh port and returns the first answer.
    static func ask(
        _ bytes: [UInt8], _ server: Endpoint, within limit: Duration = .seconds(5)
    ) throws -> Message? {
        let socket = try UDPSocket(server.isIPv6 ? "::1" : "127.0.0.1")
        socket.send(bytes, to: server)
        return socket.receive(within: limit).flatMap { Message($0.bytes) }
    }
}
