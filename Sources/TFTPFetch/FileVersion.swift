internal import TFTPStore

/// What tells one content of a name from another, as far as its source says.
package struct FileVersion: Hashable, Sendable {
    /// Bytes; nil where the source does not tell.
    package var size: UInt64?
    /// A word without blanks. Two sources that say the same word have the same content.
    package var word: String

    /// See the properties.
    package init(size: UInt64?, word: String) {
        self.size = size
        self.word = word
    }

    /// Whether a server could serve a file of that size. The size may come from an untrusted peer.
    package var isServable: Bool { size ?? 0 <= ImageCache.imageByteCountMax }

    /// A file in a folder: the same when size and time of modification are, as with rsync's quick
    /// check. Copies have to keep the time (`cp -p`, `rsync -t`).
    package static func file(size: UInt64, modifiedSeconds: Int) -> FileVersion {
        FileVersion(size: size, word: "file-\(modifiedSeconds)")
    }

    /// A server that says nothing but the size.
    package static func plain(size: UInt64?) -> FileVersion {
        FileVersion(size: size, word: "plain")
    }

    /// Whether it is what a web server calls it.
    package var isOfOrigin: Bool { word.hasPrefix("http-") }

    /// Whether parts that are called so always belong together. A weak entity tag or a date of a
    /// web server may stand for two contents (RFC 9110 §8.8.1), and a size does.
    package var isStrong: Bool {
        isOfOrigin ? word.hasPrefix("http-\"") : !isPlain
    }

    /// Whether other content of that size would be called the same.
    package var isPlain: Bool { word == "plain" }
}
