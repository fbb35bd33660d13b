internal import Crypto
internal import FoundationEssentials
internal import TFTPFetch

/// What a node multicasts on its links, so that others find it:
///
///     bootstorm announce 1
///     node 9f3a06c2d417be55
///     port 69
///     time 1764050000
///     tag 1v8m…
///
/// The address is the datagram's own. Nodes that share a secret add the tag: HMAC-SHA256 (RFC 2104)
/// of all that precedes it. The time limits how long a recorded announcement can be replayed.
struct Announcement: Equatable, Sendable {
    var node: NodeID
    /// That answers requests.
    var port: UInt16
    /// When it was made, in seconds since 1970.
    var seconds: Int

    static let byteCountMax = 512
    private static let heading = "bootstorm announce 1"
    private static let tagWord = "tag "
    /// How far two clocks may be apart.
    private static let secondsMax = 120

    func text(secret: [UInt8]?) -> String {
        let text = "\(Announcement.heading)\nnode \(node)\nport \(port)\ntime \(seconds)\n"
        guard let secret else { return text }
        let code = HMAC<SHA256>.authenticationCode(
            for: Data(text.utf8), using: Announcement.key(secret))
        return text + "\(Announcement.tagWord)\(Data(code).base64EncodedString())\n"
    }

    /// The result of reading a datagram.
    enum Reading: Equatable, Sendable {
        case announcement(Announcement)
        /// The tag is right, but the announcement was made this number of seconds ago (in the
        /// future if negative): clocks differ, or it is a replay.
        case wrongTime(seconds: Int)
        case nothing
    }

    /// Reads what a node has said; nil for anything else, and where there are secrets for what none
    /// of them has tagged, or was said long ago.
    ///
    /// - Parameter now: seconds since 1970.
    init?(_ text: String, secrets: [[UInt8]], now: Int) {
        guard case .announcement(let read) = Announcement.read(text, secrets: secrets, now: now)
        else { return nil }
        self = read
    }

    /// The same, and why it is not taken.
    static func read(_ text: String, secrets: [[UInt8]], now: Int) -> Reading {
        var body = text
        if !secrets.isEmpty {
            guard let checked = Announcement.checked(text, secrets) else { return .nothing }
            body = checked
        }
        let lines = body.split(separator: "\n")
        guard let first = lines.first, first.elementsEqual(Announcement.heading) else {
            return .nothing
        }
        var fields: [Substring: Substring] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2 else { return .nothing }
            fields[parts[0]] = parts[1]
        }
        guard let node = fields["node"].flatMap({ NodeID($0) }),
            let port = fields["port"].flatMap({ UInt16($0) }), port > 0,
            let seconds = fields["time"].flatMap({ Int($0) }), (0...1 << 40).contains(seconds)
        else { return .nothing }
        guard secrets.isEmpty || abs(now - seconds) <= Self.secondsMax else {
            return .wrongTime(seconds: now - seconds)
        }
        return .announcement(Announcement(node: node, port: port, seconds: seconds))
    }

    init(node: NodeID, port: UInt16, seconds: Int) {
        (self.node, self.port, self.seconds) = (node, port, seconds)
    }

    /// What has been tagged; nil where the tag is not right.
    private static func checked(_ text: String, _ secrets: [[UInt8]]) -> String? {
        guard let word = text.lastRange(of: "\n" + tagWord),
            let tag = Data(
                base64Encoded: text[word.upperBound...].trimming(\.isNewline))
        else { return nil }
        let body = String(text[..<text.index(after: word.lowerBound)])
        let isRight = secrets.contains {
            HMAC<SHA256>.isValidAuthenticationCode(
                tag, authenticating: Data(body.utf8), using: key($0))
        }
        return isRight ? body : nil
    }

    /// A secret is also good for something else, so what is tagged with it here is of no use there.
    private static func key(_ secret: [UInt8]) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: secret), info: Data("bootstorm announce".utf8),
            outputByteCount: 32)
    }
}
