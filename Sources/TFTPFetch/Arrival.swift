internal import Synchronization

/// A file on its way to this node.
///
/// Nodes may wait for one that has its file from a folder or an origin, and for no other. So that
/// nobody ever waits for himself, a node
/// - says that it is lost as soon as its source is, before it asks anybody for another, and lets
///   nobody join from then on;
/// - lets others join again only once it gets the file from a folder or an origin, or has promised
///   to.
///
/// Whoever waits has therefore begun to wait before the one it waits for did, if that one waits as
/// well; and around a circle that can not be.
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
