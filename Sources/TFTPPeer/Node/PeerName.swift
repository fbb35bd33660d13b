/// The names that nodes ask each other for, beside those of files.
enum PeerName: Equatable, Sendable {
    /// What the node has of a file.
    case offer(String)
    /// The same, after the node has looked for it at those who hold it and at the origins.
    case seek(String)
    /// The same, even if the node gets the file from another one already: nobody else can.
    case insist(String)
    /// The file, even if the node has to fetch it first.
    case fetch(String)
    /// What the file is made of.
    case manifest(String)

    static let folder = ".bootstorm/"
    /// No file has this name: who asks for it wants to know whether somebody is there.
    static let nothing = "."

    /// Nil for the name of a file.
    init?(_ name: String) {
        guard name.hasPrefix(PeerName.folder) else { return nil }
        let parts = name.dropFirst(PeerName.folder.count).split(separator: "/", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        let file = String(parts[1])
        switch parts[0] {
        case "offer": self = .offer(file)
        case "seek": self = .seek(file)
        case "insist": self = .insist(file)
        case "fetch": self = .fetch(file)
        case "manifest": self = .manifest(file)
        default: return nil
        }
    }

    /// Which file it is about.
    var file: String {
        switch self {
        case .offer(let file), .seek(let file), .insist(let file), .fetch(let file),
            .manifest(let file):
            file
        }
    }

    var text: String {
        switch self {
        case .offer(let file): "\(PeerName.folder)offer/\(file)"
        case .seek(let file): "\(PeerName.folder)seek/\(file)"
        case .insist(let file): "\(PeerName.folder)insist/\(file)"
        case .fetch(let file): "\(PeerName.folder)fetch/\(file)"
        case .manifest(let file): "\(PeerName.folder)manifest/\(file)"
        }
    }

    /// The same about a file in a folder: `folder` ends with a slash, or is empty.
    func with(folder: String) -> PeerName {
        switch self {
        case .offer(let file): .offer(folder + file)
        case .seek(let file): .seek(folder + file)
        case .insist(let file): .insist(folder + file)
        case .fetch(let file): .fetch(folder + file)
        case .manifest(let file): .manifest(folder + file)
        }
    }

    /// Whether a name is one that peers may be asked for: no way out of the folder, and none of these.
    static func isFile(_ name: String) -> Bool {
        !name.isEmpty && !name.hasPrefix(folder) && name.utf8.allSatisfy { $0 >= 0x20 }
            && !name.split(separator: "/").contains { $0 == ".." }
    }
}
