internal import SystemPackage
internal import TFTPCore
internal import TFTPReactor

/// What the machines of one thread speak through. All are opened before the first thread begins.
///
/// On the IPv4 loopback network machine `n` speaks from 127.1.0.1 + n, so a handful of sockets does
/// for thousands. Elsewhere each machine has two, for "another port".
final class StormSockets: Sendable {
    let sockets: ClientSockets

    static let loopbackBase: UInt32 = 0x7F01_0001
    private static let sharedCount = 8
    /// Other descriptors of the process: standard input and output, rings, wakeups, a relay.
    private static let otherFileCount = 32

    /// - Parameter isFirst: for the one machine that fetches before the storm, which is told when
    ///   nothing listens.
    init(
        _ configuration: StormConfiguration, machineCount: Int, isFirst: Bool
    ) throws(StormError) {
        let isShared = StormSockets.areShared(configuration.server)
        let count = isShared ? StormSockets.sharedCount : 2 * machineCount
        guard count <= ClientSockets.countMax else {
            throw .machines(countMax: ClientSockets.countMax / 2)
        }
        let limit = ClientSockets.raiseFileLimit()
        do throws(Errno) {
            sockets = try ClientSockets(
                count: count, isIPv6: !configuration.server.address.isIPv4,
                coalesces: configuration.coalesces, takesLarge: configuration.takesLarge,
                reportsErrors: isFirst)
        } catch .tooManyOpenFiles {
            let needed = count * configuration.shardCount + StormSockets.otherFileCount
            throw .descriptors(needed: needed, limit: limit)
        } catch .addressInUse {
            throw .ports(needed: count * configuration.shardCount)
        } catch {
            throw .sockets(error)
        }
    }

    /// Whether machines have addresses of their own and share sockets.
    static func areShared(_ server: Endpoint) -> Bool {
        server.address.isLoopback && server.address.isIPv4
    }

    static func address(ofMachine machine: Int) -> Address {
        Address(ipv4: loopbackBase + UInt32(machine))
    }

    /// Whether this host has the first and the last of the addresses that `machineCount` machines
    /// speak from.
    static func checkAddresses(machineCount: Int) throws(StormError) {
        let (first, last) = (address(ofMachine: 0), address(ofMachine: machineCount - 1))
        var sockets = ClientSockets()
        do throws(Errno) {
            for address in [first, last] {
                let anyPort = Endpoint(address: address, port: 0)
                _ = try sockets.open(at: anyPort, isIPv6: false, coalesces: false)
            }
        } catch .addressNotAvailable {
            throw .addresses(first: first, last: last)
        } catch {
            throw .sockets(error)
        }
    }
}

extension StormConfiguration {
    fileprivate var takesLarge: Bool {
        (plain.blksize ?? 0) > ClientSockets.smallPayloadByteCountMax
    }
}
