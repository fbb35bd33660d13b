/// Links that many sites have, by name: what `Impairment` reads in place of single values.
///
/// Each has a rate, the queue of packets in front of it, and the delay of one way, as usual
/// equipment has them. What a real path does is better measured than assumed.
package enum CommonLink: String, CaseIterable, Sendable {
    /// A port of 100 Mbit/s, as management ports and old switches have.
    case fast = "100M"
    /// A port of 1 Gbit/s.
    case gigabit = "1G"
    /// Another site, 40 ms there and back.
    case wan
    /// A wireless network with some interference.
    case wifi

    /// The parts that the name stands for.
    package var parts: String {
        switch self {
        case .fast: "rate=100Mbit,queue=64,delay=100us"
        case .gigabit: "rate=1Gbit,queue=256,delay=50us"
        case .wan: "rate=100Mbit,queue=128,delay=20ms"
        case .wifi: "rate=50Mbit,queue=128,delay=2ms,jitter=2ms,loss=0.5%"
        }
    }
}
