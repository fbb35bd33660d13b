internal import TFTPCore
internal import TFTPReactor
internal import TFTPWire

extension TFTPServer {
    /// What a client asks for: an RRQ or a WRQ (RFC 1350 §5, RFC 2347).
    public struct Request: Sendable {
        let question: HandlerRequest

        /// The name that the client asks for, as the folder would look for it: backslashes are
        /// slashes, leading slashes, drive letters and `./` are gone.
        ///
        /// In an RRQ `..` stays, since only the kernel can judge it where there are symbolic links.
        /// It never leads out of the folder, but it does lead from one folder within to another: a
        /// handler that judges a name by its beginning, or makes a path or a URL of it, has to see
        /// to that itself. An upload whose name holds `..` is refused before any handler is asked.
        /// What is not UTF-8 stands as U+FFFD.
        public let name: String

        /// The client that sent the request.
        public let client: Client

        init(_ question: HandlerRequest) {
            self.question = question
            name = String(decoding: question.name, as: UTF8.self)
            client = Client(endpoint: question.peer)
        }

        /// Which of this host's addresses was asked, as text.
        public var localAddress: String { "\(question.local)" }

        /// How the client wants it (RFC 1350 §1).
        public var mode: Mode { question.mode == .netascii ? .netascii : .octet }

        /// The size of an upload in bytes, if the client announced it (`tsize`, RFC 2349); nil in
        /// an RRQ.
        public var size: UInt64? { question.opcode == .wrq ? question.options.tsize : nil }

        /// The blksize that was asked for (RFC 2348), before anything is granted.
        public var blksize: Int? { question.options.blksize.map { Int($0) } }

        /// The windowsize that was asked for (RFC 7440), before anything is granted.
        public var windowsize: Int? { question.options.windowsize.map { Int($0) } }

        /// The snapshot that this client's files come from, where `Configuration.snapshotHold` is
        /// set: what the client holds, or what the name says (`sets/NAME/…`), of those that are
        /// here. A handler that makes what belongs to a kernel should make it for this one. Nil
        /// without snapshots and for uploads.
        public var snapshot: String? { question.place?.snapshot.name }

        /// Whether the request came under a seal, so from a client with one of
        /// `Configuration.sealKeys`.
        ///
        /// It may be a replay: an attacker can record a request and send it again. The attacker
        /// cannot read the answer or complete an upload, but the handler is called.
        public var isSealed: Bool { question.isSealed }

        /// Where in the content to begin, in bytes, if a part was asked for: an option of
        /// Bootstorm's own, for an RRQ in mode octet; nil for the whole.
        ///
        /// The server cuts the part out of what a handler supplies, which is the whole content
        /// always: it is granted where the size is known, and what comes before the offset is
        /// thrown away.
        public var offset: UInt64? { part?.offset }

        /// How many bytes are wanted at most, from `offset` on or from the beginning; nil for all
        /// that there are.
        public var length: UInt64? { part?.length }

        private var part: Options? {
            question.opcode == .rrq && question.mode == .octet ? question.options : nil
        }

        /// How bytes are to be translated on their way.
        public enum Mode: Sendable {
            /// Not at all.
            case octet
            /// Lines end in CR LF on the wire (RFC 764). The server translates what a handler
            /// supplies.
            case netascii
        }
    }

    /// A client: an address and the UDP port it speaks from, which is its TID (RFC 1350 §4).
    ///
    /// Both can be forged in a request; nothing secret should depend on them alone.
    public struct Client: Sendable, Hashable, CustomStringConvertible {
        let endpoint: Endpoint

        /// Numeric: `10.0.0.7` or `fe80::1%eth0`. An IPv4 client is never written as IPv6.
        public var address: String { "\(endpoint.address)" }

        /// Its UDP port.
        public var port: Int { Int(endpoint.port) }

        /// The four bytes of an IPv4 address, the most significant first; nil for IPv6.
        public var ipv4: UInt32? { endpoint.address.isIPv4 ? endpoint.address.ipv4 : nil }

        /// `ADDR:PORT`.
        public var description: String { "\(endpoint)" }
    }

    /// The code of an ERROR (RFC 1350 Appendix, RFC 2347). Boot loaders go by the number; few show
    /// the text.
    public struct ErrorCode: RawRepresentable, Sendable, Hashable {
        /// The number in the packet.
        public var rawValue: UInt16

        /// Any number may be sent; 0 to 8 have a meaning.
        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// 0: the text says it all.
        public static let notDefined = ErrorCode(rawValue: 0)
        /// 1: file not found. Boot loaders go on to the next name.
        public static let fileNotFound = ErrorCode(rawValue: 1)
        /// 2: there may be, but not for this client.
        public static let accessViolation = ErrorCode(rawValue: 2)
        /// 3: no room for an upload.
        public static let diskFull = ErrorCode(rawValue: 3)
        /// 6: an upload may not replace what is there.
        public static let fileAlreadyExists = ErrorCode(rawValue: 6)
    }
}
