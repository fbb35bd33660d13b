import TFTPCore

/// Whether clients and networks are sent no more bytes a second than they may have.
struct RateWatch {
    private let clientRate: Int?
    private let networkRate: Int?
    /// By client and by network: when what was sent would have gone out at the rate.
    private var clients: [Address: UInt64] = [:]
    private var networks: [UInt32: UInt64] = [:]

    /// What goes out at once after a rest.
    private static let burstNanoseconds: UInt64 = 250_000_000
    /// Blocks that may be late: one of each transfer that a client and its neighbour have, or all
    /// clients.
    private static let lateByteCount = (client: 8 * 512, network: 30 * 512)

    init(_ scenario: Scenario) {
        clientRate = scenario.clientBytesPerSecond
        networkRate = scenario.networkBytesPerSecond
    }

    /// The server begins anew, and so do its rates.
    mutating func noteRestart() { (clients, networks) = ([:], [:]) }

    /// `byteCount` bytes go to `client`. False when that is too much.
    mutating func note(_ byteCount: Int, to client: Address, now: UInt64) -> Bool {
        var isWithin = true
        func pass(_ until: UInt64, _ rate: Int, late: Int) -> UInt64 {
            let begin = max(until, now - RateWatch.burstNanoseconds)
            let slack = UInt64(late) * 1_000_000_000 / UInt64(rate)
            if begin > now + slack { isWithin = false }
            return begin + UInt64(byteCount) * 1_000_000_000 / UInt64(rate)
        }
        if let clientRate {
            clients[client] = pass(
                clients[client] ?? 0, clientRate, late: RateWatch.lateByteCount.client)
        }
        if let networkRate {
            let network = client.ipv4 >> 8
            networks[network] = pass(
                networks[network] ?? 0, networkRate, late: RateWatch.lateByteCount.network)
        }
        return isWithin
    }
}
