internal import Synchronization
package import TFTPServing

/// The policies that all shards read. One thread replaces them; a shard looks once a turn.
///
/// What is replaced is kept until every shard has completed a turn that began after that: until
/// then one may still be looking at it.
///
/// @unchecked Sendable: the pointer is atomic, and a table is immutable.
@safe
final class PublishedPolicies: @unchecked Sendable {
    private let current: Atomic<UnsafeRawPointer>
    private let kept: Mutex<PolicyTable>

    init(_ table: PolicyTable) {
        kept = Mutex(table)
        unsafe current = Atomic(UnsafeRawPointer(Unmanaged.passRetained(table).toOpaque()))
    }

    deinit {
        let pointer = unsafe current.load(ordering: .sequentiallyConsistent)
        unsafe Unmanaged<PolicyTable>.fromOpaque(pointer).release()
    }

    /// For a shard, until it has completed its turn.
    var reference: PolicyReference {
        let pointer = unsafe current.load(ordering: .sequentiallyConsistent)
        return unsafe PolicyReference(unretained: .fromOpaque(pointer))
    }

    /// For threads that have no turns.
    var table: PolicyTable { kept.withLock { $0 } }

    /// Puts another table in place. The caller holds what is returned until no shard looks at it.
    func exchange(_ table: PolicyTable) -> PolicyTable {
        kept.withLock { $0 = table }
        let new = unsafe UnsafeRawPointer(Unmanaged.passRetained(table).toOpaque())
        let old = unsafe current.exchange(new, ordering: .sequentiallyConsistent)
        return unsafe Unmanaged<PolicyTable>.fromOpaque(old).takeRetainedValue()
    }
}

extension Reactor {
    /// Requests from now on have these names, or those before where a folder of these cannot be
    /// opened. Shards look once a turn: `publish(_:)` for policies waits for that.
    ///
    /// - Precondition: the configuration had `namesMayChange`. Called by one task at a time.
    package func publish(_ names: NameConfiguration) throws(StartError) {
        try resources.names.replace(names)
    }

    /// Requests from now on have these policies; running transfers keep what they began with.
    /// Returns when no shard looks at the policies before these, and they are gone.
    ///
    /// Called by one task at a time.
    package func publish(_ policies: PolicyTable) async {
        let old = published.exchange(policies)
        let before = links.map(\.turnCount)
        for link in links { link.ring() }
        for (link, turnCount) in zip(links, before) {
            // A shard that has ended looks at nothing any more.
            while link.turnCount == turnCount, turnCount != ShardLink.ended {
                await Task.detached { try? await Task.sleep(for: .milliseconds(1)) }.value
            }
        }
        withExtendedLifetime(old) {}
    }
}
