/// How snapshots lie beneath the root of a tree that has them:
///
///     sets/2026-11-28/boot/vmlinuz
///     sets/2026-11-29/boot/vmlinuz
///     current -> sets/2026-11-29
///
/// What begins with a dot in `sets` is being made or removed.
package enum SnapshotLayout {
    /// The folder of the snapshots.
    package static var sets: String { "sets" }
    /// The symbolic link to the one that newcomers get.
    package static var current: String { "current" }

    private static let nameByteCountMax = 100

    /// Prefixes of names in the tree that clients cannot get: of what is being published, removed
    /// and switched.
    package enum Hidden: String, CaseIterable {
        case publishing = ".publishing-"
        case removing = ".removing-"
        case switching = ".current-"
    }

    /// The name in the tree of what lies in a snapshot: the same in every tree that has the
    /// snapshot.
    package static func path(_ name: String, in snapshot: String) -> String {
        "\(sets)/\(snapshot)/\(name)"
    }

    /// The snapshot and the name in there of such a path; nil for any other name.
    package static func parts(of path: String) -> (snapshot: String, name: String)? {
        let parts = path.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == sets, isName(parts[1]), !parts[2].isEmpty else {
            return nil
        }
        return (String(parts[1]), String(parts[2]))
    }

    /// Whether a snapshot may have this name: 1 to 100 letters, digits and `._+-`, with a letter or
    /// digit first. So it is one component of a path, never hidden, and no option of a command.
    package static func isName(_ name: some StringProtocol) -> Bool {
        guard let first = name.utf8.first, isLetterOrDigit(first) else { return false }
        guard name.utf8.count <= nameByteCountMax else { return false }
        return name.utf8.allSatisfy { isLetterOrDigit($0) || "._+-".utf8.contains($0) }
    }

    /// What a link `current` has to say, as the snapshot's name; nil for anything else.
    package static func name(linked target: String) -> String? {
        let parts = target.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == sets, isName(parts[1]) else { return nil }
        return String(parts[1])
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }
}

/// Which snapshot a requested name is to be looked for in.
package enum SnapshotChoice: Equatable, Sendable {
    /// The one that the client holds from now on.
    case held
    /// The current snapshot, for a query of a node, which takes no lease.
    case current
    /// The one that the name says: `sets/NAME/…`. `byteCount` is how much of the name is before
    /// what lies in there.
    case named(String, byteCount: Int)

    package init(_ name: FileName) {
        if name.hasPrefix(".bootstorm/") {
            self = .current
            return
        }
        self = .held
        let start = SnapshotLayout.sets.utf8.count + 1
        guard name.hasPrefix("sets/"),
            let end = (start..<name.byteCount).first(where: {
                name.storage[$0] == UInt8(ascii: "/")
            })
        else { return }
        let bytes = (start..<end).map { name.storage[$0] }
        self = .named(String(decoding: bytes, as: UTF8.self), byteCount: end + 1)
    }
}
