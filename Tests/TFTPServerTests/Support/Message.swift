/// A TFTP packet as a client sees it. Written from the RFCs and not with the server's codec, which
/// it is to judge.
enum Message: Equatable, Sendable {
    case data(UInt16, [UInt8])
    case ack(UInt16)
    case error(UInt16, String)
    case oack([Option])

    /// A packet that a client may get; nil for anything else. Strict: what stands where nothing
    /// should is not overlooked.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 2, bytes[0] == 0 else { return nil }
        let field = bytes.count >= 4 ? UInt16(bytes[2]) << 8 | UInt16(bytes[3]) : 0
        switch bytes[1] {
        case 3 where bytes.count >= 4: self = .data(field, Array(bytes[4...]))
        case 4 where bytes.count == 4: self = .ack(field)
        case 5 where bytes.count >= 5 && bytes.last == 0:
            self = .error(field, String(decoding: bytes[4..<(bytes.count - 1)], as: UTF8.self))
        case 6:
            guard let options = Message.options(Array(bytes[2...])) else { return nil }
            self = .oack(options)
        default: return nil
        }
    }

    /// Names and values, each with its NUL and nothing behind the last.
    private static func options(_ bytes: [UInt8]) -> [Option]? {
        guard bytes.last == 0 else { return nil }
        let parts = bytes.dropLast().split(separator: 0, omittingEmptySubsequences: false)
        guard parts.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: parts.count, by: 2).map {
            Option(
                String(decoding: parts[$0], as: UTF8.self),
                String(decoding: parts[$0 + 1], as: UTF8.self))
        }
    }

    var bytes: [UInt8] {
        switch self {
        case .data(let block, let payload): Message.header(3, block) + payload
        case .ack(let block): Message.header(4, block)
        case .error(let code, let text): Message.header(5, code) + Array(text.utf8) + [0]
        case .oack(let options): [0, 6] + options.flatMap(\.bytes)
        }
    }

    private static func header(_ opcode: UInt8, _ field: UInt16) -> [UInt8] {
        [0, opcode, UInt8(field >> 8), UInt8(field & 0xFF)]
    }

    static func read(
        _ name: String, _ options: [Option] = [], mode: String = "octet"
    ) -> [UInt8] { request(1, Array(name.utf8), options, mode: mode) }

    static func write(
        _ name: String, _ options: [Option] = [], mode: String = "octet"
    ) -> [UInt8] { request(2, Array(name.utf8), options, mode: mode) }

    static func request(
        _ opcode: UInt8, _ name: [UInt8], _ options: [Option] = [], mode: String = "octet"
    ) -> [UInt8] {
        [0, opcode] + name + [0] + Array(mode.utf8) + [0] + options.flatMap(\.bytes)
    }
}

/// A name and a value in a request or an OACK (RFC 2347).
struct Option: Hashable, Sendable, CustomStringConvertible {
    var name: String
    var value: String

    init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    static func blksize(_ value: Int) -> Option { Option("blksize", "\(value)") }
    static func windowsize(_ value: Int) -> Option { Option("windowsize", "\(value)") }
    static func timeout(_ value: Int) -> Option { Option("timeout", "\(value)") }
    static func tsize(_ value: Int) -> Option { Option("tsize", "\(value)") }
    static func offset(_ value: Int) -> Option { Option("offset", "\(value)") }
    static func length(_ value: Int) -> Option { Option("length", "\(value)") }

    var bytes: [UInt8] { Array(name.utf8) + [0] + Array(value.utf8) + [0] }
    var description: String { "\(name)=\(value)" }
}

extension [Option] {
    func number(_ name: String) -> Int? { first { $0.name == name }.flatMap { Int($0.value) } }
}
