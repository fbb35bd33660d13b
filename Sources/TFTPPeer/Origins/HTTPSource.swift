internal import FoundationEssentials
internal import NIOCore
internal import NIOHTTP1
internal import TFTPFetch

/// A folder of a web server, or of a bucket.
///
/// A search is a GET of the whole file, whose body waits for a reader. So one request is enough to
/// find a file and to fetch it, no HEAD is needed, and the announced version is the version of the
/// bytes that follow. Ranges (RFC 9110 §14) are used to continue where another source has failed,
/// if the server supports them.
struct HTTPSource: FileSource {
    let url: WebURL
    let client: WebClient
    /// As it was given, for the log.
    let text: String
    private let isS3: Bool
    private let memory = WebMemory()

    /// How long a server may take to its first byte; other sources are queried meanwhile.
    static let headPatience = Duration.seconds(6)
    /// How long it may take from one byte to the next.
    static let stallPatience = Duration.seconds(2)
    /// Up to this number of bytes, and for this duration, a file of unknown length is read before
    /// it is reported as found.
    private static let unknownByteCountMax = 1 << 20
    private static let unknownPatience = Duration.milliseconds(300)
    private static let redirectsMax = 5
    /// Of what a server calls a version.
    private static let tagByteCountMax = 128

    init(url: WebURL, client: WebClient, text: String? = nil, isS3: Bool = false) {
        self.url = url
        self.client = client
        self.text = text ?? url.text
        self.isS3 = isS3
    }

    // MARK: Looking

    func look(_ name: String) async throws -> FileVersion? {
        if let version = memory.latest(name) { return version }
        return try await look(name, unless: nil)
    }

    /// The same, without a body where it still is `version`.
    func look(_ name: String, unless version: FileVersion?) async throws -> FileVersion? {
        var fields: [(String, String)] = []
        if let version, let known = memory.validators(name, version) {
            if let tag = known.entityTag {
                fields.append(("If-None-Match", tag))
            } else if let date = known.lastModified {
                fields.append(("If-Modified-Since", date))
            }
        }
        guard let (answer, head) = try await ask(name, fields) else { return nil }
        switch head.status.code {
        case 304 where version != nil: return version
        case 200: return try await keep(name, answer, head)
        case let status: throw SourceFailure.status(Int(status))
        }
    }

    /// The same, of one byte if the server supports ranges: for a search that will not fetch it
    /// from here.
    func peek(_ name: String) async throws -> FileVersion? {
        guard let (answer, head) = try await ask(name, [("Range", "bytes=0-0")]) else {
            return nil
        }
        guard head.status.code != 200 else { return try await keep(name, answer, head) }
        guard [206, 416].contains(head.status.code), let range = head.headers.contentRange else {
            throw SourceFailure.status(Int(head.status.code))
        }
        let version = HTTPSource.version(of: head, size: range.size)
        guard version.isServable else { throw SourceFailure.tooLarge(version.size ?? 0) }
        memory.note(name, version, HTTPSource.validators(of: head))
        return version
    }

    private func keep(
        _ name: String, _ answer: WebAnswer, _ head: HTTPResponseHead
    ) async throws -> FileVersion {
        var version = HTTPSource.version(of: head, size: head.headers.contentLength)
        var beginning: [UInt8] = []
        if version.size == nil {
            let isWhole: Bool
            (beginning, isWhole) = try await HTTPSource.begin(answer)
            if isWhole { version.size = UInt64(beginning.count) }
        }
        guard version.isServable else { throw SourceFailure.tooLarge(version.size ?? 0) }
        memory.keep(
            name, .init(answer: answer, version: version, beginning: beginning),
            HTTPSource.validators(of: head))
        return version
    }

    /// Reads a small file of unknown length to its end, since boot loaders want to know how long it
    /// is.
    private static func begin(_ answer: WebAnswer) async throws -> (bytes: [UInt8], isWhole: Bool) {
        var bytes: [UInt8] = []
        let end = ContinuousClock.now + unknownPatience
        while bytes.count < unknownByteCountMax {
            let left = max(.zero, end - .now)
            do {
                guard let more = try await answer.next(within: left) else { return (bytes, true) }
                bytes += more
            } catch SourceFailure.stalled {
                break
            }
        }
        return (bytes, false)
    }

    // MARK: Copying

    func copy(
        _ name: String, _ version: FileVersion, from offset: UInt64, by check: ResumeCheck,
        to sink: (sending [UInt8]) async throws -> Void
    ) async throws {
        if let size = version.size, offset >= size, size > 0 { return }
        var body = try await open(name, version, from: offset, by: check)
        while let bytes = try await body.next() {
            if !bytes.isEmpty { try await sink(bytes) }
        }
    }

    func part(_ name: String, _ version: FileVersion, _ range: Range<UInt64>) async throws
        -> [UInt8]
    {
        guard !range.isEmpty else { return [] }
        var body = try await open(
            name, version, from: range.lowerBound, end: range.upperBound, by: .manifest)
        var bytes: [UInt8] = []
        while bytes.count < range.count, let more = try await body.next() { bytes += more }
        guard bytes.count >= range.count else { throw SourceFailure.anotherVersion }
        return Array(bytes.prefix(range.count))
    }

    /// The body from `offset` on, or from its beginning where its bytes have to be compared.
    private func open(
        _ name: String, _ version: FileVersion, from offset: UInt64, end: UInt64? = nil,
        by check: ResumeCheck
    ) async throws -> WebBody {
        if offset == 0, end == nil, let opened = memory.take(name), opened.version == version {
            return WebBody(opened.answer, size: version.size, beginning: opened.beginning)
        }
        // Only parts of one strong version belong together (RFC 9110 §15.3.7.3).
        let mayUseRange = (offset > 0 || end != nil) && check.allowsParts(of: version)
        var fields: [(String, String)] = []
        if mayUseRange {
            fields.append(("Range", "bytes=\(offset)-\(end.map { "\($0 - 1)" } ?? "")"))
            if let condition = memory.validators(name, version)?.rangeCondition {
                fields.append(("If-Range", condition))
            }
        }
        guard let (answer, head) = try await ask(name, fields) else {
            throw SourceFailure.anotherVersion
        }
        switch head.status.code {
        case 200: return try body(answer, head, version, from: offset, by: check)
        case 206 where mayUseRange:
            if let body = try part(answer, head, version, from: offset, end: end) { return body }
            guard case .prefix = check else { throw SourceFailure.anotherVersion }
            return try await open(name, .plain(size: version.size), from: offset, by: check)
        case 416: throw SourceFailure.anotherVersion
        case let status: throw SourceFailure.status(Int(status))
        }
    }

    /// All of the file, of which the first `offset` bytes are here.
    private func body(
        _ answer: WebAnswer, _ head: HTTPResponseHead, _ version: FileVersion, from offset: UInt64,
        by check: ResumeCheck
    ) throws -> WebBody {
        let found = HTTPSource.version(of: head, size: head.headers.contentLength)
        guard found.size == nil || version.size == nil || found.size == version.size else {
            throw SourceFailure.anotherVersion
        }
        var body = WebBody(answer, size: version.size)
        // What comes in one answer is one version, whatever it is called.
        guard offset > 0 else { return body }
        if found.word == version.word, check.allowsParts(of: version) {
            body.skip(offset)
        } else {
            guard case .prefix(let prefix) = check else { throw SourceFailure.anotherVersion }
            body.compare(with: prefix.beginning)
        }
        return body
    }

    /// The rest of the file, or a part of it; nil where it is of another version.
    private func part(
        _ answer: WebAnswer, _ head: HTTPResponseHead, _ version: FileVersion, from offset: UInt64,
        end: UInt64?
    ) throws -> WebBody? {
        guard let range = head.headers.contentRange, range.start == offset else {
            throw SourceFailure.noRange
        }
        let found = HTTPSource.version(of: head, size: range.size)
        guard found.word == version.word,
            range.size == nil || version.size == nil || range.size == version.size
        else { return nil }
        guard let size = end ?? version.size ?? range.size else {
            return WebBody(answer, size: nil)
        }
        // The sizes are the server's word.
        guard size >= offset else { throw SourceFailure.noRange }
        return WebBody(answer, size: size - offset)
    }

    // MARK: Asking

    /// The answer to a GET; nil where the server has nothing under that name, or nothing for us.
    private func ask(
        _ name: String, _ more: [(String, String)]
    ) async throws -> (WebAnswer, HTTPResponseHead)? {
        let encoder = isS3 ? S3Bucket.encoded : WebURL.encoded(_:)
        guard var target = url.appending(name, encoder: encoder) else { return nil }
        let end = ContinuousClock.now + HTTPSource.headPatience
        for _ in 0...HTTPSource.redirectsMax {
            let (answer, head) = try await send(target, more, until: end)
            if isS3, let code = try await S3Bucket.errorCode(answer, Int(head.status.code)) {
                throw SourceFailure.denied(status: Int(head.status.code), code: code)
            }
            switch head.status.code {
            case 200..<300, 304, 416: return (answer, head)
            case 301, 302, 303, 307, 308:
                guard let next = try redirect(from: target, head) else { return nil }
                target = next
            case 401, 403: throw SourceFailure.denied(status: Int(head.status.code), code: nil)
            case 300..<400, 404, 410: return nil
            case 429, 503:
                let retry = head.headers.first(name: "Retry-After").flatMap {
                    RetryAfter($0, answered: head.headers.first(name: "Date"))
                }
                throw SourceFailure.busy(status: Int(head.status.code), retry?.delay)
            case let status: throw SourceFailure.status(Int(status))
            }
        }
        throw SourceFailure.redirects
    }

    private func send(
        _ target: WebURL, _ more: [(String, String)], until end: ContinuousClock.Instant
    ) async throws -> (WebAnswer, HTTPResponseHead) {
        let fields = fields(for: target, more)
        do {
            let answer = try client.get(target, fields)
            return (answer, try await answer.head(within: max(.zero, end - .now)))
        } catch SourceFailure.closed {
            // A connection that was kept may have been closed as it was used: another one tells.
            let answer = try client.get(target, fields)
            return (answer, try await answer.head(within: max(.zero, end - .now)))
        }
    }

    /// Where the server sends this node on to; nil for a folder, which leads to itself.
    private func redirect(from target: WebURL, _ head: HTTPResponseHead) throws -> WebURL? {
        guard let location = head.headers.first(name: "Location"),
            let next = target.resolved(location)
        else { throw SourceFailure.status(Int(head.status.code)) }
        if next.isFolder(of: target) { return nil }
        guard client.access.redirects == .any || next.site.mayStandFor(url.site) else {
            throw SourceFailure.otherHost(next.hostField)
        }
        return next
    }

    private func fields(for target: WebURL, _ more: [(String, String)]) -> HTTPHeaders {
        var fields = HTTPHeaders(more)
        // A compressed file has another size, and its ranges are of something else.
        fields.add(name: "Accept-Encoding", value: "identity")
        fields.add(name: "User-Agent", value: "bootstorm")
        // What this server is shown is not for the one that it sends us on to.
        guard target.site.mayStandFor(url.site) else { return fields }
        for field in client.access.fields {
            fields.replaceOrAdd(name: field.name, value: field.value)
        }
        if let userInfo = url.userInfo {
            fields.replaceOrAdd(
                name: "Authorization", value: PeerNode.OriginAccess.Credential.basic(userInfo))
        }
        switch client.access.credential(for: isS3 ? text : target.text)?.kind {
        case .authorization(let value): fields.replaceOrAdd(name: "Authorization", value: value)
        case .s3(let key):
            let signed = key.fields(for: target, region: client.access.s3Region, at: Date())
            for field in signed { fields.replaceOrAdd(name: field.name, value: field.value) }
        case nil: break
        }
        return fields
    }

    // MARK: Versions

    private static func validators(of head: HTTPResponseHead) -> WebMemory.Validators {
        WebMemory.Validators(
            entityTag: head.headers.first(name: "ETag"),
            lastModified: head.headers.first(name: "Last-Modified"))
    }

    /// As strong as `tag` is.
    private static func shortened(_ tag: String) -> String {
        let digest = "\(Digest(of: tag.utf8))"
        return tag.hasPrefix("\"") ? "\"\(digest)\"" : digest
    }

    private static func version(of head: HTTPResponseHead, size: UInt64?) -> FileVersion {
        let known = validators(of: head)
        guard let tag = known.entityTag ?? known.lastModified else { return .plain(size: size) }
        // Of a word there are no blanks in it, and an offer has room for a short one.
        let isShort = tag.utf8.count <= HTTPSource.tagByteCountMax
        let text = isShort ? tag : HTTPSource.shortened(tag)
        let word = "http-" + text.map { $0.isWhitespace ? "_" : String($0) }.joined()
        return FileVersion(size: size, word: word)
    }
}

extension WebURL.Site {
    /// Whether it is `other`, or what `other` has moved to at the same host.
    fileprivate func mayStandFor(_ other: WebURL.Site) -> Bool {
        guard self != other else { return true }
        return host == other.host && other.scheme == .http && scheme == .https
            && other.port == other.scheme.defaultPort && port == scheme.defaultPort
    }
}
