package import TFTPCore
package import TFTPSeal

/// A storm: which machines request which files from which server, how often, and when it is over.
package struct StormConfiguration: Sendable {
    /// A file that is asked for, and how often in relation to the others.
    package struct File: Sendable {
        package var name: String
        package var weight: Int
        package var reference: Reference?

        package init(name: String, weight: Int, reference: Reference?) {
            self.name = name
            self.weight = weight
            self.reference = reference
        }
    }

    /// A kind of machine, and how many of it in relation to the others.
    package struct Share: Sendable {
        package var kind: ClientKind
        package var share: Int

        package init(kind: ClientKind, share: Int) {
            self.kind = kind
            self.share = share
        }
    }

    package enum Ending: Sendable, Equatable {
        case transfers(Int)
        case seconds(Double)
    }

    /// Nothing is ever sent anywhere else.
    package var server: Endpoint
    /// Where files are learned from; nil: from the server. Set where the storm goes through a
    /// relay: what is checked against must not have come through what is tested.
    package var referenceServer: Endpoint?
    package var files: [File] = []
    /// Boots ask for one file after the other, whatever the weights: each machine for another where
    /// there are as many.
    package var asksInTurn = false
    /// Let one machine fetch each file before the storm: to learn the content if there is no
    /// reference, and to report errors early.
    package var asksFirst = true
    package var clients: [Share] = []
    package var plain = PlainOptions()
    /// Machines at once.
    package var machineCount = 100
    package var ending = Ending.transfers(1000)
    /// Boots begun in a second; nil: each machine begins its next when the last has ended (closed
    /// loop).
    package var startsPerSecond: Double?
    /// The machines begin one after the other over this time.
    package var rampSeconds = 0.0
    package var shardCount = 1
    /// Take coalesced datagrams (UDP GRO).
    package var coalesces = false
    package var seed: UInt64 = 1
    /// Seals every transfer, the first fetch too; nil: none.
    package var sealKey: SealKey?

    package init(server: Endpoint) { self.server = server }

    /// What `plain` machines ask for; nil leaves an option out.
    package struct PlainOptions: Sendable {
        package var blksize: UInt16?
        package var windowsize: UInt16?
        package var timeout: UInt8?

        package init() {}
    }

    package static let machinesMax = 100_000
    package static let filesMax = 65_536

    /// The machines that thread `shard` has, by number.
    func machines(ofShard shard: Int) -> Range<Int> {
        let first = machineCount * shard / shardCount
        return first..<max(first + 1, machineCount * (shard + 1) / shardCount)
    }
}
