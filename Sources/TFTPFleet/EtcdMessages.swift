// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The fields are called as etcd calls them.

internal import FoundationEssentials

/// Messages of etcd's v3 API as its JSON gateway writes them: numbers of 64 bits as text, bytes in
/// Base64, and zeros left out.
enum Etcd {
    struct Range: Encodable {
        var key: String
        var range_end: String
        var serializable = false
    }

    struct Header: Decodable, Sendable {
        var revision: String?
        var cluster_id: String?
    }

    struct KeyValue: Decodable, Sendable {
        var key: String
        var value: String?
        var mod_revision: String?
    }

    struct RangeAnswer: Decodable, Sendable {
        var header: Header
        var kvs: [KeyValue]?
    }

    struct Put: Encodable {
        var key: String
        var value: String
        var lease: String?
    }

    struct Delete: Encodable { var key: String }

    struct Compare: Encodable {
        var target = "MOD"
        var result = "EQUAL"
        var key: String
        var mod_revision: String
    }

    struct Operation: Encodable {
        var request_put: Put?
        var request_delete_range: Delete?
    }

    struct Transaction: Encodable {
        var compare: [Compare]
        var success: [Operation]
    }

    struct TransactionAnswer: Decodable, Sendable { var succeeded: Bool? }

    struct Grant: Encodable { var TTL: Int }

    struct Lease: Codable { var ID: String }

    struct LeaseAnswer: Decodable, Sendable {
        var ID: String
        var TTL: String?
    }

    /// Of a call whose answer is a stream.
    struct Result<Value: Decodable & Sendable>: Decodable, Sendable {
        var result: Value?
    }

    struct KeepAliveAnswer: Decodable, Sendable {
        var ID: String?
        /// Left out where the lease has run out.
        var TTL: String?
    }

    struct Watch: Encodable {
        struct Create: Encodable {
            var key: String
            var range_end: String
            var start_revision: String
        }

        var create_request: Create
    }

    struct Event: Decodable, Sendable {
        var type: String?
        var kv: KeyValue
    }

    struct WatchAnswer: Decodable, Sendable {
        var header: Header?
        var created: Bool?
        var canceled: Bool?
        var events: [Event]?
    }

    static func encoded(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    static func decoded(_ text: String?) -> String {
        text.flatMap { Data(base64Encoded: $0) }.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// The end of all keys that begin with `prefix`.
    static func end(of prefix: String) -> String {
        var bytes = Array(prefix.utf8)
        if let last = bytes.popLast() { bytes.append(last + 1) }
        return Data(bytes).base64EncodedString()
    }
}
