internal import FoundationEssentials
internal import NIOCore
internal import Synchronization

/// A fleet whose state is in etcd (3.4 and later).
package final class EtcdFleet: FleetEngine {
    /// Which cluster, and which fleet in there.
    package struct Address: Hashable, Sendable {
        /// URLs without a path.
        package let members: [String]
        package let fleet: String

        /// Reads `etcd://HOST[:PORT],HOST[:PORT]…/FLEET`, or the same with `etcds` for TLS.
        ///
        /// - Returns: nil for anything else, also for a password in it: the log names members.
        package init?(_ text: String) {
            let parts = text.split(separator: "://", maxSplits: 1).map(String.init)
            guard parts.count == 2, ["etcd", "etcds"].contains(parts[0].lowercased()) else {
                return nil
            }
            let rest = parts[1].split(separator: "/", omittingEmptySubsequences: false)
            guard rest.count == 2, !rest[0].contains("@"), FleetPlace.isName(String(rest[1]))
            else { return nil }
            let scheme = parts[0].lowercased() == "etcds" ? "https" : "http"
            members = rest[0].split(separator: ",").map { host in
                let hasPort =
                    !host.hasSuffix("]") && host.split(separator: "]").last?.contains(":") == true
                return "\(scheme)://\(host)\(hasPort ? "" : ":2379")"
            }
            guard !members.isEmpty else { return nil }
            fleet = String(rest[1])
        }
    }

    /// The user that authenticates to the engine.
    package struct User: Sendable {
        package let name: String
        package let password: String

        /// See the properties.
        package init(name: String, password: String) {
            self.name = name
            self.password = password
        }
    }

    /// What members are shown.
    package struct Access: Sendable {
        package var user: User?
        /// PEM. A certificate must have no CN, since etcd's gateway refuses one that names a user.
        package var authority: [UInt8]?
        package var certificate: [UInt8]?
        package var key: [UInt8]?

        /// Nothing.
        package init() {}
    }

    /// A certificate or key that cannot be read.
    package struct InvalidAccess: Error {}

    private let client: EtcdClient
    private let lease = Mutex<Lease?>(nil)

    private struct Lease {
        let id: String
        /// What stands under it; nil before it does.
        var report: String?
    }

    /// How long a node that is gone stays on the list.
    private static let leaseSeconds = 15
    /// How often the member that is watched has to answer.
    private static let keepInterval = Duration.seconds(5)
    /// A watch that has lasted so long was well.
    private static let stableDuration = Duration.seconds(5)
    /// Changes that the agent has not taken yet; beyond that all is read again.
    private static let backlogMax = 1024
    private static let restDurations = [200, 400, 800, 1600, 3200, 5000]

    /// - Throws: `InvalidAccess`. Nothing is asked yet.
    package init(_ address: Address, _ access: Access) throws(InvalidAccess) {
        client = try EtcdClient(address, access)
    }

    // MARK: Reading

    package func read() async throws(FleetFailure) -> (
        entries: [FleetKey: FleetView.Entry], revision: Int64
    ) {
        try await read(serializable: false)
    }

    private func read(serializable: Bool) async throws(FleetFailure) -> (
        entries: [FleetKey: FleetView.Entry], revision: Int64
    ) {
        let question = Etcd.Range(
            key: Etcd.encoded(client.prefix), range_end: Etcd.end(of: client.prefix),
            serializable: serializable)
        let answer = try await client.call(
            "/v3/kv/range", question, as: Etcd.RangeAnswer.self)
        var entries: [FleetKey: FleetView.Entry] = [:]
        for pair in answer.kvs ?? [] {
            guard let key = key(pair) else { continue }
            entries[key] = entry(pair)
        }
        return (entries, answer.header.revision.flatMap { Int64($0) } ?? 0)
    }

    private func key(_ pair: Etcd.KeyValue) -> FleetKey? {
        let text = Etcd.decoded(pair.key)
        guard text.hasPrefix(client.prefix) else { return nil }
        return FleetKey(text.dropFirst(client.prefix.count))
    }

    private func entry(_ pair: Etcd.KeyValue) -> FleetView.Entry {
        FleetView.Entry(
            text: Etcd.decoded(pair.value),
            revision: pair.mod_revision.flatMap { Int64($0) } ?? 0)
    }

    // MARK: Watching

    package func changes(for place: FleetPlace) -> AsyncStream<FleetChange> {
        let (stream, continuation) = AsyncStream<FleetChange>.makeStream(
            bufferingPolicy: .bufferingOldest(EtcdFleet.backlogMax))
        let task = Task {
            var failureCount = 0
            while !Task.isCancelled {
                let member = client.member
                let started = ContinuousClock.now
                do throws(FleetFailure) {
                    try await follow(place, continuation)
                } catch {
                    await EtcdFleet.tell(.away(error.description), continuation)
                }
                if ContinuousClock.now - started > EtcdFleet.stableDuration { failureCount = 0 }
                client.passOn(from: member)
                let rest = EtcdFleet.restDurations[
                    min(failureCount, EtcdFleet.restDurations.count - 1)]
                failureCount += 1
                try? await Task.sleep(for: .milliseconds(Int.random(in: rest / 2...rest)))
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    /// Says what a change must not be lost of, as soon as there is room for it.
    private static func tell(
        _ change: FleetChange, _ continuation: AsyncStream<FleetChange>.Continuation
    ) async {
        while !Task.isCancelled, case .dropped = continuation.yield(change) {
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Reads all, and watches what changes, until a member does not answer.
    private func follow(
        _ place: FleetPlace, _ continuation: AsyncStream<FleetChange>.Continuation
    ) async throws(FleetFailure) {
        let (entries, revision): ([FleetKey: FleetView.Entry], Int64)
        do throws(FleetFailure) {
            (entries, revision) = try await read(serializable: false)
        } catch .unreachable(let text) {
            // Without a majority, what one member knows is better than nothing.
            let (entries, revision) = try await read(serializable: true)
            await EtcdFleet.tell(.stale(entries, revision), continuation)
            throw .unreachable(text)
        }
        guard revision < .max else { throw .invalid("revision") }
        await EtcdFleet.tell(.all(entries, revision), continuation)
        try await watch(place, from: revision + 1, at: client.member, continuation)
    }

    /// What a node has to watch. The nodes of other halls, which are many, are left out.
    private func prefixes(for place: FleetPlace) -> [String] {
        ["current/", "stage/", "order/\(place.node)", "nodes/\(place.hall)/"]
    }

    /// Watches at one member, so that its silence is noticed.
    private func watch(
        _ place: FleetPlace, from revision: Int64, at member: Int,
        _ continuation: AsyncStream<FleetChange>.Continuation
    ) async throws(FleetFailure) {
        let failure = await withTaskGroup(of: FleetFailure.self) { group in
            for prefix in prefixes(for: place) {
                group.addTask {
                    await self.watch(prefix, from: revision, at: member, continuation)
                }
            }
            group.addTask { await self.watchMember(member) }
            defer { group.cancelAll() }
            return await group.next() ?? .unreachable("nothing is watched")
        }
        throw failure
    }

    private func watch(
        _ prefix: String, from revision: Int64, at member: Int,
        _ continuation: AsyncStream<FleetChange>.Continuation
    ) async -> FleetFailure {
        let prefix = client.prefix + prefix
        let question = Etcd.Watch(
            create_request: .init(
                key: Etcd.encoded(prefix), range_end: Etcd.end(of: prefix),
                start_revision: "\(revision)"))
        do throws(FleetFailure) {
            try await client.stream("/v3/watch", question, at: member) { line in
                guard
                    let answer = try? JSONDecoder().decode(
                        Etcd.Result<Etcd.WatchAnswer>.self, from: Data(line)
                    ).result,
                    answer.canceled != true
                else { return false }
                for event in answer.events ?? [] {
                    guard let key = key(event.kv) else { continue }
                    let entry = entry(event.kv)
                    let change =
                        event.type == "DELETE"
                        ? FleetChange.gone(key, entry.revision) : .put(key, entry)
                    // One that is lost is read again with all the others.
                    if case .dropped = continuation.yield(change) { return false }
                }
                return true
            }
            return .unreachable("the watch has ended")
        } catch {
            return error
        }
    }

    /// A member that freezes says nothing more, and would be listened to for ever.
    private func watchMember(_ member: Int) async -> FleetFailure {
        let question = Etcd.Range(
            key: Etcd.encoded(client.prefix + "."), range_end: "", serializable: true)
        while !Task.isCancelled {
            try? await Task.sleep(for: EtcdFleet.keepInterval)
            do throws(FleetFailure) {
                _ = try await client.call(
                    "/v3/kv/range", question, at: member, as: Etcd.RangeAnswer.self)
            } catch {
                return error
            }
        }
        return .unreachable("it is over")
    }

    // MARK: Writing

    package func report(
        _ report: NodeReport, of place: FleetPlace, isMissing: Bool
    ) async throws(FleetFailure) {
        let (id, reported) = try await keepLease()
        let text = FleetValue.text(report)
        // What has not changed need not be written again.
        guard isMissing || reported != text else { return }
        let put = Etcd.Put(
            key: Etcd.encoded("\(client.prefix)\(place.key)"), value: Etcd.encoded(text), lease: id)
        struct Answer: Decodable {}
        _ = try await client.call("/v3/kv/put", put, as: Answer.self)
        lease.withLock { if $0?.id == id { $0?.report = text } }
    }

    /// The lease of this process, new where the old one has run out, and what stands under it.
    private func keepLease() async throws(FleetFailure) -> (id: String, report: String?) {
        if let kept = lease.withLock({ $0 }), try await isKept(kept.id) {
            return (kept.id, kept.report)
        }
        let answer = try await client.call(
            "/v3/lease/grant", Etcd.Grant(TTL: EtcdFleet.leaseSeconds),
            as: Etcd.LeaseAnswer.self)
        lease.withLock { $0 = Lease(id: answer.ID) }
        return (answer.ID, nil)
    }

    private func isKept(_ id: String) async throws(FleetFailure) -> Bool {
        let answer = try await client.call(
            "/v3/lease/keepalive", Etcd.Lease(ID: id),
            as: Etcd.Result<Etcd.KeepAliveAnswer>.self)
        return answer.result?.TTL.flatMap { Int($0) } ?? 0 > 0
    }

    package func change(_ change: GuardedChange) async throws(FleetFailure) -> Bool {
        let transaction = Etcd.Transaction(
            compare: change.compares.map {
                Etcd.Compare(
                    key: Etcd.encoded("\(client.prefix)\($0.key)"), mod_revision: "\($0.value)")
            },
            success: change.puts.map {
                Etcd.Operation(
                    request_put: Etcd.Put(
                        key: Etcd.encoded("\(client.prefix)\($0.key)"),
                        value: Etcd.encoded($0.value)))
            }
                + change.deletes.map {
                    Etcd.Operation(
                        request_delete_range: Etcd.Delete(
                            key: Etcd.encoded("\(client.prefix)\($0)")))
                })
        do throws(FleetFailure) {
            let answer = try await client.callOnce(
                "/v3/kv/txn", transaction, as: Etcd.TransactionAnswer.self)
            return answer.succeeded ?? false
        } catch .unclear(let text) {
            return try await isDone(change, text)
        }
    }

    /// What became of a change whose answer has not come: whether what was written is there. If
    /// another one has changed the same, this one was not made.
    private func isDone(
        _ change: GuardedChange, _ text: String
    ) async throws(FleetFailure) -> Bool {
        let entries: [FleetKey: FleetView.Entry]
        do throws(FleetFailure) {
            entries = try await read().entries
        } catch {
            throw .unclear(text)
        }
        let isWritten =
            change.puts.allSatisfy { entries[$0.key]?.text == $0.value }
            && change.deletes.allSatisfy { entries[$0] == nil }
        if isWritten { return true }
        let isAsBefore = change.compares.allSatisfy { (entries[$0.key]?.revision ?? 0) == $0.value }
        // It may still be on its way.
        guard !isAsBefore else { throw .unclear(text) }
        return false
    }
}
