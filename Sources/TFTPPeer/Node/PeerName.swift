/// The names that nodes request from each other, in addition to those of files.
enum PeerName: Equatable, Sendable {
    /// What the node has of a file.
    case query(String)
    /// The same, after the node has queried the holders of the file and the origins.
    case search(String)
    /// The same, even if the node itself gets the file from another node: no other source has it.
    case force(String)
    /// The file, even if the node has to fetch it first.
    case fetch(String)
    /// What the file is made of.
    case manifest(String)

    static let folder = ".bootstorm/"
    /// Nil for the name of a file.
    init?(_ name: String) {
        guard name.hasPrefix(PeerName.folder) else { return nil }
        let parts = name.dropFirst(PeerName.folder.count).split(separator: "/", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        let file = String(parts[1])
        switch parts[0] {
        // The second of each is what nodes said before.
        case "query", "offer": self = .query(file)
        case "query?search", "seek": self = .search(file)
        case "query?force", "insist": self = .force(file)
        case "fetch": self = .fetch(file)
        case "manifest": self = .manifest(file)
        default: return nil
        }
    }

    /// Which file it is about.
    var file: String {
        switch self {
        case .query(let file), .search(let file), .force(let file), .fetch(let file),
            .manifest(let file):
            file
        }
    }

    var text: String {
        switch self {
        case .query(let file): "\(PeerName.folder)query/\(file)"
        case .search(let file): "\(PeerName.folder)query?search/\(file)"
        case .force(let file): "\(PeerName.folder)query?force/\(file)"
        case .fetch(let file): "\(PeerName.folder)fetch/\(file)"
        case .manifest(let file): "\(PeerName.folder)manifest/\(file)"
        }
    }

    /// The same about a file in a folder: `folder` ends with a slash, or is empty.
    func with(folder: String) -> PeerName {
        switch self {
        case .query(let file): .query(folder + file)
        case .search(let file): .search(folder + file)
        case .force(let file): .force(folder + file)
        case .fetch(let file): .fetch(folder + file)
        case .manifest(let file): .manifest(folder + file)
        }
    }

    /// Whether a name is one that peers may be asked for: no way out of the folder, and none of
    /// these.
    static func isFile(_ name: String) -> Bool {
        !name.isEmpty && !name.hasPrefix(folder) && name.utf8.allSatisfy { $0 >= 0x20 }
            && !name.split(separator: "/").contains { $0 == ".." }
    }
}
