internal import Glibc
internal import TFTPCore

/// The server that the clients of a sweep use, or the relay in front of it.
struct TuneTarget {
    let endpoint: Endpoint
    private let relay: Relay?
    /// Until nothing of a trial is under way any more.
    private let settleSeconds: Double

    init(_ configuration: TuneConfiguration) throws(TuneError) {
        guard let impairment = configuration.impairment else {
            endpoint = configuration.server
            relay = nil
            settleSeconds = 0
            return
        }
        var relaying = RelayConfiguration(
            listen: Endpoint(address: Address(ipv4: 0x7F00_0001), port: 0),
            server: configuration.server, impairment: impairment)
        relaying.seed = configuration.seed
        do throws(RelayError) {
            let relay = try Relay(relaying)
            endpoint = relay.listening
            self.relay = relay
        } catch {
            throw .relay(error)
        }
        settleSeconds = min(1, impairment.up.settleSeconds + impairment.down.settleSeconds)
    }

    /// DATA packets that the relay has dropped so far.
    var dropCount: UInt64 {
        guard let down = relay?.counters.down else { return 0 }
        return down.link.lost + down.link.queueDropped + down.overflowed
    }

    func settle() {
        if settleSeconds > 0 { usleep(UInt32(settleSeconds * 1e6)) }
    }

    func finish() throws(TuneError) {
        do throws(RelayError) {
            _ = try relay?.finish()
        } catch {
            throw .relay(error)
        }
    }
}

extension Impairment.Way {
    /// How long the last of what fills this way is on it.
    fileprivate var settleSeconds: Double {
        let travel = Double(delayNanoseconds + jitterNanoseconds + reorderNanoseconds) / 1e9
        guard let bitsPerSecond else { return travel }
        let frameBits = 8 * ImpairedLink.wireByteCount(TunePath.ethernet.blksizeFitting)
        return travel + Double(queueMax * frameBits) / Double(bitsPerSecond)
    }
}
