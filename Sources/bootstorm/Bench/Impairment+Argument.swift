internal import ArgumentParser
internal import TFTPLoad

extension Impairment {
    /// Reads the value of `--impair`, and says what is wrong with it.
    @Sendable
    static func argument(_ text: String) throws -> Impairment {
        do throws(ImpairmentError) {
            return try Impairment(text)
        } catch {
            throw ValidationError("\(error).")
        }
    }

    static let help = ArgumentHelp(
        """
        loss=1%,burst=4,dup=1%,reorder=2%:3ms,delay=2ms,jitter=500us,rate=100Mbit,queue=64, any of them: what happens to \
        packets on the way; up. or down. before a name means one direction. Or a usual link: \(linkText).
        """, valueName: "parts|link")

    private static let linkText = CommonLink.allCases
        .map { "\($0.rawValue) (\($0.parts))" }.joined(separator: ", ")
}

/// What a relay has done, for people and for machines.
struct RelaySummary: Codable {
    struct Way: Codable {
        var packets: UInt64
        var lost: UInt64
        var queueDrops: UInt64
        var duplicated: UInt64
        var reordered: UInt64
        var overflows: UInt64
        var delivered: UInt64
    }

    var impairment: String
    var up: Way
    var down: Way
    var strays: UInt64
    var refused: UInt64
    /// Clients forgotten because there were too many.
    var crowdedOut: UInt64
}

extension RelaySummary {
    init(_ counters: RelayCounters, _ impairment: Impairment) {
        self.impairment = impairment.text
        up = Way(counters.up)
        down = Way(counters.down)
        strays = counters.strays
        refused = counters.refused
        crowdedOut = counters.crowdedOut
    }

    /// One line each way, and one more if something happened that the impairment does not ask for.
    var lines: [String] {
        var lines = ["up             \(up.text)", "down           \(down.text)"]
        let overflows = up.overflows + down.overflows
        if strays + refused + crowdedOut + overflows > 0 {
            lines.append(
                "relay          \(strays) strays, \(refused) refused, \(overflows) without memory, "
                    + "\(crowdedOut) clients too many")
        }
        return lines
    }
}

extension RelaySummary.Way {
    init(_ counters: RelayCounters.Way) {
        packets = counters.link.offered
        lost = counters.link.lost
        queueDrops = counters.link.queueDropped
        duplicated = counters.link.duplicated
        reordered = counters.link.reordered
        overflows = counters.overflowed
        delivered = counters.delivered
    }

    var text: String {
        "\(packets) packets, \(lost) lost, \(queueDrops) dropped by the queue, "
            + "\(duplicated) doubled, \(reordered) held back"
    }
}
