internal import TFTPShard
internal import TFTPWire

extension TFTPServer {
    /// What a `get` handler makes of an RRQ.
    ///
    ///     { request in
    ///         switch request.name {
    ///         case "motd": .text("hello, \(request.client.address)\n")
    ///         case "log": .stream { writer in for await line in lines { try await writer.write(line.utf8) } }
    ///         case "secret": .refused("not for you")
    ///         default: .file
    ///         }
    ///     }
    public struct Response: Sendable {
        enum Kind: Sendable {
            case file
            case bytes([UInt8], key: String?)
            case stream(size: UInt64?, key: String?, @Sendable (Writer) async throws -> Void)
            case refused(ErrorCode, String)
        }

        let kind: Kind

        /// What the folder has under the name that was asked for, as if there were no handler.
        public static let file = Response(kind: .file)

        /// ERROR 1, "File not found".
        public static let notFound = Response(kind: .refused(.fileNotFound, "File not found"))

        /// An ERROR of your own.
        ///
        /// - Parameters:
        ///   - text: for whoever reads the client's screen; cut after 239 bytes of UTF-8.
        ///   - code: what boot loaders go by.
        public static func refused(
            _ text: String = "Access violation", code: ErrorCode = .accessViolation
        ) -> Response { Response(kind: .refused(code, text)) }

        /// These bytes, and their number as `tsize`.
        ///
        /// They are copied into the server's memory for images, once for a request, and leave it when the transfer has
        /// ended.
        ///
        /// - Parameters:
        ///   - bytes: the content, all of it.
        ///   - key: requests answered with the same key share one copy, and it stays as long as there is room. It must name
        ///     the content, not the file: put a version, a hash or an ETag in it.
        public static func bytes(_ bytes: some Sequence<UInt8>, key: String? = nil) -> Response {
            Response(kind: .bytes(Array(bytes), key: key))
        }

        /// A text in UTF-8; as `bytes` else.
        public static func text(_ text: String, key: String? = nil) -> Response {
            bytes(text.utf8, key: key)
        }

        /// What `body` writes, sent on while it is written.
        ///
        /// `body` runs at most a window and 4 MiB ahead of what the client has acknowledged; `write` waits meanwhile. It is
        /// cancelled when the client gives up. When it throws, the client gets ERROR 0 in place of the rest.
        ///
        /// - Parameters:
        ///   - size: how many bytes it will be. Without it the client hears no `tsize` (RFC 2349), which GRUB and Windows
        ///     want, and 4 GiB is the end. With it, more or fewer bytes are an error.
        ///   - key: as with `bytes`: where the content is here already, or on its way, `body` is not called. It is kept as
        ///     a whole then, so content of more than half of `cacheSize` is not shared.
        ///   - body: writes the content, from its beginning on, and returns when it has written all.
        public static func stream(
            size: UInt64? = nil, key: String? = nil,
            _ body: @escaping @Sendable (Writer) async throws -> Void
        ) -> Response { Response(kind: .stream(size: size, key: key, body)) }

        /// The chunks of `content`, one after the other, sent on as they come; see the other `stream`.
        public static func stream<Content: AsyncSequence & Sendable>(
            size: UInt64? = nil, key: String? = nil, _ content: Content
        ) -> Response where Content.Element: Sequence<UInt8> {
            stream(size: size, key: key) { writer in
                for try await chunk in content { try await writer.write(chunk) }
            }
        }
    }

    /// Takes the content of a stream.
    public struct Writer: Sendable {
        let supply: SupplyWriter
        let count: WrittenCount

        /// Hands the next bytes over, and returns when the server has room for more.
        ///
        /// Chunks of 64 KiB and more cost the least. One task at a time.
        ///
        /// - Throws: `CancellationError` when nobody wants the rest; let it through.
        public func write(_ bytes: some Sequence<UInt8>) async throws {
            let bytes = Array(bytes)
            count.add(bytes.count)
            try await supply.write(bytes)
        }
    }
}
