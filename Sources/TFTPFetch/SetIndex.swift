/// What a snapshot has, all of it:
///
///     bootstorm index 1
///     set 2026-11-29
///     file 268435456 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef boot/initrd
///     signature MEUCIQ…
///
/// Size, SHA-256 and name. The signature, where there is one, is over all that stands before it.
/// What has no line is not in the snapshot, and what has one is the same wherever it comes from.
/// Lines of other kinds are passed over.
package struct SetIndex: Equatable, Sendable {
    /// A file of the snapshot.
    package struct File: Equatable, Sendable {
        package var name: String
        package var size: UInt64
        package var digest: Digest

        /// See the properties.
        package init(name: String, size: UInt64, digest: Digest) {
            self.name = name
            self.size = size
            self.digest = digest
        }
    }

    package let set: String
    private let files: [String: File]

    /// Of the file in a snapshot that has its index.
    package static let name = ".bootstorm-index"
    package static let byteCountMax = 64 << 20
    private static let heading = "bootstorm index 1"

    /// An index of `files`, of which none have the same name.
    package init(set: String, files: [File]) {
        self.set = set
        self.files = Dictionary(files.map { ($0.name, $0) }) { $1 }
    }

    /// nil if the text is not a valid index.
    package init?(_ text: String) {
        let lines = text.split(separator: "\n")
        guard lines.count >= 2, lines[0].elementsEqual(SetIndex.heading), lines[1].hasPrefix("set ")
        else { return nil }
        var files: [File] = []
        for line in lines.dropFirst(2) where line.hasPrefix("file ") {
            let parts = line.split(separator: " ", maxSplits: 3)
            guard parts.count == 4, let size = UInt64(parts[1]), let digest = Digest(parts[2])
            else { return nil }
            files.append(File(name: String(parts[3]), size: size, digest: digest))
        }
        self.init(set: String(lines[1].dropFirst("set ".count)), files: files)
    }

    /// What the snapshot has under `name`; nil for nothing.
    package subscript(_ name: String) -> File? { files[name] }

    /// In the order of their names.
    package var all: [File] { files.values.sorted { $0.name < $1.name } }

    /// Without a signature.
    package var text: String {
        "\(SetIndex.heading)\nset \(set)\n"
            + all.map { "file \($0.size) \($0.digest) \($0.name)\n" }.joined()
    }

    /// Where an origin has an index.
    package static func path(of set: String) -> String { "index/\(set)" }

    /// Where an origin has content.
    package static func path(of digest: Digest) -> String { "blobs/sha256/\(digest)" }
}
