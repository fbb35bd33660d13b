internal import Synchronization

/// A file on its way to this node.
///
/// A node may wait for another node that gets the file from a folder or an origin, and for no
/// other. To exclude a circle of nodes that wait for each other, a node
/// - reports that its source is lost before it queries another one, and refuses waiters from then
///   on;
/// - accepts waiters again only when it gets the file from a folder or an origin, or is committed
///   to do so.
///
/// A node has therefore begun to wait before the node that it waits for did, if that one waits as
/// well. Around a circle this is impossible.
package struct Arrival: Sendable {
    /// What it comes from.
    package enum Footing: Sendable {
        /// It comes from a folder or an origin.
        case rooted
        /// It comes from a node that fetches it.
        case waiting
        /// Its source is lost, and another one not found yet.
        case lost
    }

    package var upstream: Footing
    /// Of this arrival alone: another one of the same content may follow.
    package let progress = Progress()

    /// One that begins.
    package init(upstream: Footing) { self.upstream = upstream }

    /// How much has come.
    package final class Progress: Sendable {
        private let count = Atomic<UInt64>(0)

        /// Bytes.
        package var byteCount: UInt64 {
            get { count.load(ordering: .relaxed) }
            set { count.store(newValue, ordering: .relaxed) }
        }
    }

    /// Whether a node may wait for this one.
    ///
    /// - Parameter isPromised: another node has been told so since the source was lost, and this
    ///   one will keep to it.
    package func isJoinable(isPromised: Bool) -> Bool {
        switch upstream {
        case .rooted: true
        case .waiting: false
        case .lost: isPromised
        }
    }
}
