internal import ArgumentParser
internal import TFTPLoad

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
