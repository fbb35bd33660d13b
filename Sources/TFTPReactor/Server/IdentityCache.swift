internal import TFTPCore
internal import TFTPStore

/// What this shard last knew of files: identity to image, direct-mapped. A hit is only a hint,
/// which `ImageIndex.retain` confirms.
struct IdentityCache: ~Copyable {
    private struct Place: BitwiseCopyable {
        var identity: FileIdentity
        var image: ImageID
    }

    private let places: Column<Place>
    private static let count = 8192

    init() {
        let empty = Place(identity: .none, image: ImageID(index: 0, generation: 0))
        places = Column(repeating: empty, count: IdentityCache.count)
    }

    subscript(identity: FileIdentity) -> ImageID? {
        get {
            let place = places[index(of: identity)]
            return place.identity == identity ? place.image : nil
        }
        nonmutating set {
            guard let newValue else { return }
            places[index(of: identity)] = Place(identity: identity, image: newValue)
        }
    }

    private func index(of identity: FileIdentity) -> Int {
        Int(truncatingIfNeeded: identity.mixed) & (IdentityCache.count - 1)
    }
}
