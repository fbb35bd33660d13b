public import ArgumentParser
public import Logging
public import TFTPServer

/// `auto`, or a number of threads.
struct ShardCount: ExpressibleByArgument {
    /// nil for `auto`.
    var count: Int?

    static let auto = ShardCount(count: nil)

    init(count: Int?) { self.count = count }

    init?(argument: String) {
        if argument == "auto" {
            self = .auto
        } else if let count = Int(argument) {
            self.init(count: count)
        } else {
            return nil
        }
    }

    var defaultValueDescription: String { count.map(String.init) ?? "auto" }
}

/// A number of bytes, with K, M, G or T for powers of 1,024.
struct ByteCount: ExpressibleByArgument {
    var value: Int

    init(_ value: Int) { self.value = value }

    init?(argument: String) {
        var text = argument.uppercased()
        for ending in ["IB", "B"] where text.hasSuffix(ending) {
            text.removeLast(ending.count)
            break
        }
        var shift = 0
        if let unit = text.last, let power = Array("KMGT").firstIndex(of: unit) {
            shift = 10 * (power + 1)
            text.removeLast()
        }
        guard let number = Int(text), number >= 0, number <= Int.max >> shift else { return nil }
        value = number << shift
    }

    var defaultValueDescription: String {
        for (index, unit) in "TGMK".enumerated() {
            let shift = 10 * (4 - index)
            if value >= 1 << shift && value % (1 << shift) == 0 {
                return "\(value >> shift)\(unit)"
            }
        }
        return "\(value)"
    }
}

/// `FIRST-LAST`.
struct PortRange: ExpressibleByArgument {
    var range: ClosedRange<UInt16>

    init?(argument: String) {
        let ends = argument.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = UInt16(ends[0]), let last = UInt16(ends[1]),
            first <= last
        else { return nil }
        range = first...last
    }
}

enum LogFormat: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
}

extension TFTPServer.Configuration.Upload: ExpressibleByArgument {}

extension Logger.Level: @retroactive ExpressibleByArgument {}
