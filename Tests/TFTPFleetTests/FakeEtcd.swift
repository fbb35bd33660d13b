import Foundation
import Glibc
import Synchronization

/// A cluster of etcd as its JSON gateway shows it, on loopback: what `EtcdClient` uses, and nothing
/// else. Each connection has a thread.
final class FakeEtcd: Sendable {
    /// How a member answers.
    enum Mood: Sendable {
        case well
        /// It reads what it is asked and says nothing more, as a stopped process does.
        case frozen
        /// It is cut off from the others: only serializable reads are answered.
        case leaderless
        /// It commits a transaction and closes the connection.
        case closesAfterCommit
        /// It commits a transaction and answers with 503.
        case refusesAfterCommit
        /// It closes the connection before a transaction is committed.
        case closesBeforeCommit
        /// The beginning of an answer comes, and the rest never.
        case stopsInBody
    }

    struct Pair: Sendable {
        var value: String
        var revision: Int
        var lease: Int?
    }

    struct State: Sendable {
        var pairs: [String: Pair] = [:]
        var revision = 1
        var leases: Set<Int> = []
        var leaseCount = 0
        /// nil: nothing is asked for.
        var token: String?
        var moods: [Mood] = []
        var counts: [String: Int] = [:]
        var watches: [Watch] = []
    }

    struct Watch: Sendable {
        let connection: Int32
        let member: Int
        let range: Range<String>
    }

    let state: Mutex<State>
    let ports: [UInt16]
    private let listeners: [Int32]

    init(members count: Int) throws {
        var (listeners, ports): ([Int32], [UInt16]) = ([], [])
        for _ in 0..<count {
            let (listener, port) = try FakeEtcd.listen()
            listeners.append(listener)
            ports.append(port)
        }
        (self.listeners, self.ports) = (listeners, ports)
        state = Mutex(State(moods: Array(repeating: .well, count: count)))
        for (member, listener) in listeners.enumerated() {
            Thread.detachNewThread { [self] in
                while case let connection = accept(listener, nil, nil), connection >= 0 {
                    Thread.detachNewThread { self.serve(connection, member) }
                }
            }
        }
    }

    func stop() {
        for listener in listeners {
            shutdown(listener, Int32(SHUT_RDWR))
            close(listener)
        }
    }

    func set(_ mood: Mood, of member: Int) { state.withLock { $0.moods[member] = mood } }

    /// How often something was asked for, by the last part of its path.
    func count(_ name: String) -> Int { state.withLock { $0.counts[name] ?? 0 } }

    private static func listen() throws -> (Int32, UInt16) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutableBytes(of: &address) { raw in
            let pointer = raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            return bind(listener, pointer, length) == 0 && Glibc.listen(listener, 64) == 0
                && getsockname(listener, pointer, &length) == 0
        }
        guard isListening else { throw POSIXError(.EADDRINUSE) }
        return (listener, UInt16(bigEndian: address.sin_port))
    }

    // MARK: A connection

    private func serve(_ connection: Int32, _ member: Int) {
        defer {
            state.withLock { $0.watches.removeAll { $0.connection == connection } }
            close(connection)
        }
        while let (head, body) = FakeEtcd.request(connection) {
            let name = head[0].split(separator: " ")[1].split(separator: "/").last.map(String.init)
            let question = (try? JSONSerialization.jsonObject(with: body)) as? [String: Any] ?? [:]
            guard let name, answer(name, question, head, member, connection) else { return }
        }
    }

    /// Whether the connection stays.
    private func answer(
        _ name: String, _ question: [String: Any], _ head: [String], _ member: Int,
        _ connection: Int32
    ) -> Bool {
        let (mood, token) = state.withLock { state in
            state.counts[name, default: 0] += 1
            return (state.moods[member], state.token)
        }
        if case .frozen = mood {
            // Until the client goes.
            var byte: UInt8 = 0
            return recv(connection, &byte, 1, 0) > 0
        }
        if name == "authenticate" {
            return FakeEtcd.send(200, ["token": token ?? ""], connection)
        }
        let shown = FakeEtcd.field("authorization", head)
        if let token, shown != token {
            return FakeEtcd.send(401, ["error": "invalid auth token"], connection)
        }
        switch name {
        case "range":
            if case .leaderless = mood, question["serializable"] as? Bool != true {
                return FakeEtcd.send(503, ["error": "no leader"], connection)
            }
            if case .stopsInBody = mood {
                _ = FakeEtcd.write(
                    "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", connection)
                var byte: UInt8 = 0
                return recv(connection, &byte, 1, 0) > 0
            }
            return FakeEtcd.send(200, range(question), connection)
        case "watch":
            if case .leaderless = mood, FakeEtcd.field("grpc-metadata-hasleader", head) == "true" {
                return FakeEtcd.send(503, ["error": "no leader"], connection)
            }
            return watch(question, member, connection)
        case "txn":
            if case .closesBeforeCommit = mood { return false }
            let answer = transaction(question)
            if case .closesAfterCommit = mood { return false }
            if case .refusesAfterCommit = mood {
                return FakeEtcd.send(503, ["error": "late"], connection)
            }
            return FakeEtcd.send(200, answer, connection)
        case "put":
            state.withLock { $0.put(question) }
            tell()
            return FakeEtcd.send(200, [:], connection)
        case "grant":
            let id = state.withLock { state in
                state.leaseCount += 1
                state.leases.insert(state.leaseCount)
                return state.leaseCount
            }
            return FakeEtcd.send(200, ["ID": "\(id)", "TTL": "15"], connection)
        case "keepalive":
            let id = question["ID"] as? String ?? ""
            let lives = state.withLock { $0.leases.contains(Int(id) ?? 0) }
            return FakeEtcd.send(
                200, ["result": lives ? ["ID": id, "TTL": "15"] : ["ID": id]], connection)
        default: return FakeEtcd.send(404, [:], connection)
        }
    }

    private func range(_ question: [String: Any]) -> [String: Any] {
        let start = FakeEtcd.text(question["key"])
        let end = FakeEtcd.text(question["range_end"])
        let (found, revision) = state.withLock { state in
            let found = state.pairs.filter {
                end.isEmpty ? $0.key == start : $0.key >= start && $0.key < end
            }
            return (found, state.revision)
        }
        return [
            "header": ["revision": "\(revision)"],
            "kvs": found.map { FakeEtcd.pair($0.key, $0.value) },
        ]
    }

    private func transaction(_ question: [String: Any]) -> [String: Any] {
        let succeeded = state.withLock { state in
            for compare in question["compare"] as? [[String: Any]] ?? [] {
                let key = FakeEtcd.text(compare["key"])
                guard "\(state.pairs[key]?.revision ?? 0)" == compare["mod_revision"] as? String
                else { return false }
            }
            for operation in question["success"] as? [[String: Any]] ?? [] {
                if let put = operation["request_put"] as? [String: Any] { state.put(put) }
                if let delete = operation["request_delete_range"] as? [String: Any] {
                    state.pairs[FakeEtcd.text(delete["key"])] = nil
                }
            }
            return true
        }
        tell()
        return succeeded ? ["succeeded": true] : [:]
    }

    // MARK: Watches

    private func watch(_ question: [String: Any], _ member: Int, _ connection: Int32) -> Bool {
        let create = question["create_request"] as? [String: Any] ?? [:]
        let (start, end) = (FakeEtcd.text(create["key"]), FakeEtcd.text(create["range_end"]))
        _ = FakeEtcd.write(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + FakeEtcd.chunk(["result": ["created": true]]), connection)
        state.withLock {
            $0.watches.append(Watch(connection: connection, member: member, range: start..<end))
        }
        var byte: UInt8 = 0
        return recv(connection, &byte, 1, 0) > 0
    }

    /// Tells those that watch what there is, of a member that is well.
    private func tell() {
        let news = state.withLock { state in
            state.watches.filter { if case .well = state.moods[$0.member] { true } else { false } }
                .flatMap { watch in
                    state.pairs.filter { watch.range.contains($0.key) }.map { key, pair in
                        (watch.connection, FakeEtcd.pair(key, pair))
                    }
                }.map { ($0.0, FakeEtcd.chunk(["result": ["events": [["kv": $0.1]]]])) }
        }
        for (connection, text) in news { _ = FakeEtcd.write(text, connection) }
    }

    // MARK: Text

    private static func chunk(_ value: [String: Any]) -> String {
        let line = json(value) + "\n"
        return "\(String(line.utf8.count, radix: 16))\r\n\(line)\r\n"
    }

    private static func json(_ value: [String: Any]) -> String {
        (try? JSONSerialization.data(withJSONObject: value)).map {
            String(decoding: $0, as: UTF8.self)
        } ?? "{}"
    }

    private static func pair(_ key: String, _ pair: Pair) -> [String: String] {
        [
            "key": Data(key.utf8).base64EncodedString(), "value": pair.value,
            "mod_revision": "\(pair.revision)",
        ]
    }

    fileprivate static func text(_ value: Any?) -> String {
        (value as? String).flatMap { Data(base64Encoded: $0) }.map {
            String(decoding: $0, as: UTF8.self)
        } ?? ""
    }

    private static func field(_ name: String, _ head: [String]) -> String? {
        head.first { $0.lowercased().hasPrefix("\(name): ") }.map {
            String($0.dropFirst(name.count + 2))
        }
    }

    private static func send(_ status: Int, _ value: [String: Any], _ connection: Int32) -> Bool {
        let body = json(value)
        return write(
            "HTTP/1.1 \(status) X\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)", connection)
    }

    private static func write(_ text: String, _ connection: Int32) -> Bool {
        let bytes = Array(text.utf8)
        return Glibc.send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            == bytes.count
    }

    /// The lines of the next request, and its body.
    private static func request(_ connection: Int32) -> (head: [String], body: Data)? {
        var text: [UInt8] = []
        var byte: UInt8 = 0
        while !text.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            guard recv(connection, &byte, 1, 0) == 1 else { return nil }
            text.append(byte)
        }
        let head = String(decoding: text, as: UTF8.self).split(separator: "\r\n").map(String.init)
        let count = field("content-length", head).flatMap { Int($0) } ?? 0
        var body = Data()
        while body.count < count {
            guard recv(connection, &byte, 1, 0) == 1 else { return nil }
            body.append(byte)
        }
        return (head, body)
    }
}

extension FakeEtcd.State {
    fileprivate mutating func put(_ put: [String: Any]) {
        revision += 1
        pairs[FakeEtcd.text(put["key"])] = FakeEtcd.Pair(
            value: put["value"] as? String ?? "", revision: revision,
            lease: (put["lease"] as? String).flatMap { Int($0) })
    }
}
