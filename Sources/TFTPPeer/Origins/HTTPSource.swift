internal import Foundation

#if canImport(FoundationNetworking)
    internal import FoundationNetworking
#endif

/// An HTTP server.
struct HTTPSource: FileSource {
    let url: URL
    /// A piece is as large as comes in a fifth of a second or so, within these bounds: others wait for it two seconds at most.
    private static let pieceByteCountRange: ClosedRange<UInt64> = 64 << 10...4 << 20
    private static let pieceDuration = Duration.milliseconds(200)
    /// What a server without ranges, or one that does not tell versions apart, may send, since all of it is in memory at once.
    private static let wholeByteCountMax: UInt64 = 64 << 20

    /// Of what a server calls a version.
    private static let tagByteCountMax = 128

    var text: String { url.absoluteString }

    func look(_ name: String) async throws -> FileVersion? {
        let (_, head) = try await ask(name, "HEAD")
        switch head.statusCode {
        case 405, 501: return try await lookAtFirstByte(name)
        case 200: return try checked(version(of: head), hasRanges: head.hasRanges)
        // What leads to nothing else is a folder.
        case 300..<400, 403, 404, 410: return nil
        case let status: throw SourceFailure.status(status)
        }
    }

    /// A server without HEAD tells the size beside a part, or sends all of a small file.
    private func lookAtFirstByte(_ name: String) async throws -> FileVersion? {
        let (bytes, head) = try await ask(name, "GET", range: 0..<1)
        switch head.statusCode {
        case 200: return version(of: head, size: UInt64(bytes.count))
        case 206, 416:
            let range = head.value(forHTTPHeaderField: "Content-Range")
            guard let text = range?.split(separator: "/").last, let size = UInt64(text) else {
                throw SourceFailure.noSize
            }
            return try checked(version(of: head, size: size), hasRanges: true)
        case 300..<400, 403, 404, 410: return nil
        case let status: throw SourceFailure.status(status)
        }
    }

    /// The version, unless a file of it can not be had from a server like that.
    private func checked(_ version: FileVersion, hasRanges: Bool) throws -> FileVersion {
        guard let size = version.size else { throw SourceFailure.noSize }
        guard version.isServable else { throw SourceFailure.tooLarge(size) }
        guard size > HTTPSource.wholeByteCountMax else { return version }
        guard hasRanges else { throw SourceFailure.tooLargeWithoutRanges(size) }
        guard !version.isPlain else { throw SourceFailure.tooLargeWithoutVersion(size) }
        return version
    }

    func copy(
        _ name: String, _ version: FileVersion, from offset: UInt64,
        to sink: (sending [UInt8]) async throws -> Void
    ) async throws {
        guard let size = version.size else { throw SourceFailure.anotherVersion }
        guard offset < size else { return }
        let bounds = HTTPSource.pieceByteCountRange
        // Pieces of what tells no versions apart could be of two.
        var byteCount = version.isPlain ? size - offset : bounds.lowerBound
        var piece = try await self.piece(name, version, from: offset, byteCount, of: size)
        while piece.range.upperBound < size {
            byteCount =
                piece.duration < HTTPSource.pieceDuration
                ? min(2 * byteCount, bounds.upperBound) : max(byteCount / 2, bounds.lowerBound)
            let (end, length) = (piece.range.upperBound, byteCount)
            // One piece comes while the one before is taken.
            async let next = self.piece(name, version, from: end, length, of: size)
            try await sink(piece.bytes)
            piece = try await next
        }
        try await sink(piece.bytes)
    }

    func part(_ name: String, _ version: FileVersion, _ range: Range<UInt64>) async throws
        -> [UInt8]
    {
        guard let size = version.size else { throw SourceFailure.anotherVersion }
        let length = version.isPlain ? size - range.lowerBound : UInt64(range.count)
        let piece = try await piece(name, version, from: range.lowerBound, length, of: size)
        guard piece.bytes.count >= range.count else { throw SourceFailure.noRange }
        return Array(piece.bytes.prefix(range.count))
    }

    private struct Piece {
        let range: Range<UInt64>
        let bytes: [UInt8]
        let duration: Duration
    }

    private func piece(
        _ name: String, _ version: FileVersion, from offset: UInt64, _ byteCount: UInt64,
        of size: UInt64
    ) async throws -> Piece {
        let range = offset..<min(offset + byteCount, size)
        let clock = ContinuousClock()
        let started = clock.now
        let (bytes, response) = try await ask(name, "GET", range: range)
        switch response.statusCode {
        case 206:
            let text = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
            guard response.value(forHTTPHeaderField: "Content-Range") == text else {
                throw SourceFailure.noRange
            }
        // A server without ranges sends all of it, which is a piece only from the beginning.
        case 200 where range.lowerBound == 0: break
        case 200: throw SourceFailure.noRange
        case let status: throw SourceFailure.status(status)
        }
        // Pieces of two versions must not become one file.
        let isRest = range.upperBound == size && UInt64(bytes.count) == size - range.lowerBound
        guard !bytes.isEmpty, UInt64(bytes.count) <= size - range.lowerBound,
            isRest || !version.isPlain,
            self.version(of: response, size: size) == version
        else { throw SourceFailure.anotherVersion }
        return Piece(
            range: offset..<offset + UInt64(bytes.count), bytes: bytes,
            duration: clock.now - started)
    }

    private func ask(
        _ name: String, _ method: String, range: Range<UInt64>? = nil
    ) async throws -> ([UInt8], HTTPURLResponse) {
        var request = URLRequest(
            url: url.appending(path: name), cachePolicy: .reloadIgnoringLocalCacheData,
            timeoutInterval: 5)
        request.httpMethod = method
        // A compressed file has another size, and its ranges are of something else.
        request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
        if let range {
            request.setValue(
                "bytes=\(range.lowerBound)-\(range.upperBound - 1)", forHTTPHeaderField: "Range")
        }
        let part = range.map { Int(clamping: $0.count) } ?? 0
        let whole = range?.lowerBound == 0 ? Int(HTTPSource.wholeByteCountMax) : 0
        return try await HTTPAnswers.shared.answer(to: request, part: part, whole: whole)
    }

    /// - Parameter size: of the whole file, where the response is of a part.
    private func version(of response: HTTPURLResponse, size: UInt64? = nil) -> FileVersion {
        let tag =
            response.value(forHTTPHeaderField: "ETag")
            ?? response.value(forHTTPHeaderField: "Last-Modified")
        let length = response.expectedContentLength
        let size = size ?? (length >= 0 ? UInt64(length) : nil)
        guard let tag else { return .plain(size: size) }
        // Of a word there are no blanks in it, and an offer has room for a short one.
        let isShort = tag.utf8.count <= HTTPSource.tagByteCountMax
        let text = isShort ? tag : "\(Digest(of: tag.utf8))"
        let word = "http-" + text.map { $0.isWhitespace ? "_" : String($0) }.joined()
        return FileVersion(size: size, word: word)
    }
}

extension HTTPURLResponse {
    /// Whether the server says that it can send a part of the file.
    fileprivate var hasRanges: Bool {
        value(forHTTPHeaderField: "Accept-Ranges")?.lowercased().contains("bytes") == true
    }
}
