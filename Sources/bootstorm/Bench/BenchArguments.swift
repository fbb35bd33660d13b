internal import ArgumentParser
internal import TFTPCore
internal import TFTPLoad

/// Why a bench cannot begin, in one line. `StormError` says what fails later.
enum BenchError: Error, CustomStringConvertible {
    case noHost(String)
    case noServer(String)
    case noProcess(Int32)
    case unreadable(String)
    case impairsOthers

    /// `--impair` starts a relay, which stands in front of servers on the IPv4 loopback network
    /// only.
    static func checkImpaired(_ server: Endpoint) throws(BenchError) {
        guard server.address.isIPv4 && server.address.isLoopback else { throw .impairsOthers }
    }

    var description: String {
        switch self {
        case .noHost(let host):
            "no such host: \(host). Give HOST[:PORT] or an address."
        case .noServer(let host):
            "\(host) is not the address of a server. Give the address and port of one server."
        case .noProcess(let pid):
            "--server-pid \(pid): no such process."
        case .unreadable(let path):
            "--verify \(path): the file cannot be read."
        case .impairsOthers:
            "--impair is for a server on 127.0.0.1; put 'bootstorm relay' before others."
        }
    }
}

/// `KIND[:SHARE]`.
struct ClientShare: ExpressibleByArgument {
    var kind: ClientKind
    var share: Int

    init?(argument: String) {
        let parts = argument.split(separator: ":", maxSplits: 1)
        guard let first = parts.first, let kind = ClientKind(rawValue: String(first)) else {
            return nil
        }
        self.kind = kind
        guard parts.count == 2 else {
            share = 1
            return
        }
        guard let share = Int(parts[1]), share > 0 else { return nil }
        self.share = share
    }

    static var allValueStrings: [String] { ClientKind.allCases.map(\.rawValue) }
}

/// `NAME[:WEIGHT]`.
struct WeightedName: ExpressibleByArgument {
    var name: String
    var weight: Int

    init?(argument: String) {
        let parts = argument.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        name = String(parts[0])
        weight = 1
        guard parts.count == 2 else { return }
        guard let weight = Int(parts[1]), weight > 0 else { return nil }
        self.weight = weight
    }
}
