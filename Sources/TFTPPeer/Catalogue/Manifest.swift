internal import TFTPFetch

/// What a file is made of: the digest of each of its chunks, so that a chunk can be judged before
/// it is passed on.
///
///     bootstorm manifest 1
///     size 268435456
///     modified 1764050000
///     chunk 1048576
///     root 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
///     name boot/initrd
///     digest 30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58
///     …
///     signature MEUCIQ…
///
/// The root is the SHA-256 of size, chunk size (64 bits each, the most significant byte first) and
/// all digests. Two files of the same content have the same root, whatever they are called. The
/// signature, where there is one, is over all that stands before it.
struct Manifest: Hashable, Sendable {
    let name: String
    /// Bytes of the file.
    let size: UInt64
    /// When the file was last written to, in seconds since 1970.
    let modifiedSeconds: Int
    let chunkByteCount: Int
    let digests: [Digest]
    let root: Digest

    private static let heading = "bootstorm manifest 1"
    private static let chunksMax = 16_384
    private static let chunkByteCountRange = 1 << 10...1 << 30
    /// Of a manifest's text, with room for what is not known yet.
    static let byteCountMax = chunksMax * 80 + 4096

    /// A MiB, and more only where that would be more than 16,384 chunks.
    static func chunkByteCount(forFileOf size: UInt64) -> Int {
        var byteCount = 1 << 20
        while size > UInt64(byteCount) * UInt64(chunksMax) { byteCount *= 2 }
        return byteCount
    }

    /// - Parameter digests: of each chunk; an empty file has none.
    init(
        name: String, size: UInt64, modifiedSeconds: Int, chunkByteCount: Int, digests: [Digest]
    ) {
        self.name = name
        self.size = size
        self.modifiedSeconds = modifiedSeconds
        self.chunkByteCount = chunkByteCount
        self.digests = digests
        var content: [UInt8] = []
        content.reserveCapacity(16 + digests.count * Digest.byteCount)
        for number in [size, UInt64(chunkByteCount)] {
            content += (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
        }
        for digest in digests { content += digest.bytes }
        root = Digest(of: content)
    }

    /// Which bytes of the file the chunk has.
    func range(ofChunk index: Int) -> Range<UInt64> {
        let start = UInt64(index) * UInt64(chunkByteCount)
        return start..<min(size, start + UInt64(chunkByteCount))
    }

    func isRight(_ chunk: some Sequence<UInt8>, at index: Int) -> Bool {
        Digest(of: chunk) == digests[index]
    }
}

// MARK: - Text

extension Manifest {
    /// Without a signature.
    var text: String {
        var text = """
            \(Manifest.heading)
            size \(size)
            modified \(modifiedSeconds)
            chunk \(chunkByteCount)
            root \(root)
            name \(name)

            """
        for digest in digests { text += "digest \(digest)\n" }
        return text
    }

    /// nil if the text is not a valid manifest. Unknown fields are ignored.
    init?(_ text: String) {
        let lines = text.split(separator: "\n")
        guard let first = lines.first, first.elementsEqual(Manifest.heading) else { return nil }
        var fields: [Substring: Substring] = [:]
        var digests: [Digest] = []
        for line in lines.dropFirst() {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard parts.count == 2 else { return nil }
            if parts[0] == "digest" {
                guard let digest = Digest(parts[1]) else { return nil }
                digests.append(digest)
            } else {
                fields[parts[0]] = parts[1]
            }
        }
        guard let name = fields["name"], let size = fields["size"].flatMap({ UInt64($0) }),
            let modified = fields["modified"].flatMap({ Int($0) }),
            let chunk = fields["chunk"].flatMap({ Int($0) }),
            Manifest.chunkByteCountRange.contains(chunk),
            digests.count <= Manifest.chunksMax,
            Manifest.chunkCount(size, chunk) == UInt64(digests.count)
        else { return nil }
        self.init(
            name: String(name), size: size, modifiedSeconds: modified, chunkByteCount: chunk,
            digests: digests)
        guard let written = fields["root"], written.elementsEqual(root.description) else {
            return nil
        }
    }

    private static func chunkCount(_ size: UInt64, _ chunk: Int) -> UInt64 {
        size / UInt64(chunk) + (size % UInt64(chunk) == 0 ? 0 : 1)
    }
}
