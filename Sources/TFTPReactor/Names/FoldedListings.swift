internal import CLinux
internal import TFTPNames

/// The names in folders by their lower-case spelling, where the case of letters does not matter.
///
/// A folder is read again when its times have changed. Times are coarse, so a listing that was read
/// within two seconds of the latest change is read again the next time. Of names that differ in
/// case only, the first in the order of bytes is found.
final class FoldedListings {
    private struct Folder: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    private struct Listing {
        var names: [[UInt8]: [UInt8]] = [:]
        let modifiedNanoseconds: Int64
        let changedNanoseconds: Int64
        /// Whether a change from now on shows in the times.
        let isSettled: Bool
    }

    private var listings: [Folder: Listing] = [:]
    private var nameCount = 0
    /// How often a folder was read.
    private(set) var readCount = 0

    /// Of all listings together; a folder with more is searched instead.
    private let nameCountMax: Int
    private static let settledNanoseconds: Int64 = 2_000_000_000

    init(nameCountMax: Int = 131_072) { self.nameCountMax = nameCountMax }

    /// The entry of a folder that differs from `name` at most in the case of ASCII letters.
    ///
    /// - Parameters:
    ///   - directory: a descriptor that can be read.
    ///   - now: nanoseconds since 1970.
    func entry(_ name: [UInt8], in directory: Int32, now: Int64) -> [UInt8]? {
        var status = clinux_status()
        guard unsafe clinux_status_of(directory, &status) == 0 else { return nil }
        let folder = Folder(device: status.device, inode: status.inode)
        if let known = listings[folder], known.isSettled,
            known.modifiedNanoseconds == status.modified_ns,
            known.changedNanoseconds == status.changed_ns
        {
            return known.names[name.map(\.lowercased)]
        }
        forget(folder)
        // Another machine's clock, or a driver's idea of times, is not relied on.
        guard clinux_is_local(directory) else { return search(name, in: directory) }
        guard let listing = read(directory, status, now: now) else {
            return search(name, in: directory)
        }
        keep(listing, of: folder)
        return listing.names[name.map(\.lowercased)]
    }

    private func forget(_ folder: Folder) {
        guard let old = listings.removeValue(forKey: folder) else { return }
        nameCount -= old.names.count
    }

    private func keep(_ listing: Listing, of folder: Folder) {
        guard listing.isSettled else { return }
        if nameCount + listing.names.count > nameCountMax {
            listings.removeAll()
            nameCount = 0
        }
        listings[folder] = listing
        nameCount += listing.names.count
    }

    /// nil where the folder has too many names, or cannot be read.
    private func read(_ directory: Int32, _ status: clinux_status, now: Int64) -> Listing? {
        readCount += 1
        var byteCount: UInt32 = 0
        guard let bytes = unsafe clinux_names_in(directory, &byteCount) else { return nil }
        defer { unsafe clinux_names_free(bytes) }
        let latest = max(status.modified_ns, status.changed_ns)
        var listing = Listing(
            modifiedNanoseconds: status.modified_ns, changedNanoseconds: status.changed_ns,
            isSettled: now - latest > FoldedListings.settledNanoseconds)
        // The function has written that many bytes.
        let all = unsafe Array(UnsafeRawBufferPointer(start: bytes, count: Int(byteCount)))
        for name in all.split(separator: 0).map(Array.init) {
            let folded = name.map(\.lowercased)
            if let other = listing.names[folded], other.lexicographicallyPrecedes(name) { continue }
            // Most names are in lower case, and one array does for both.
            listing.names[folded] = name == folded ? folded : name
            guard listing.names.count <= nameCountMax else { return nil }
        }
        return listing
    }

    private func search(_ name: [UInt8], in directory: Int32) -> [UInt8]? {
        unsafe NameTrees.bytes { buffer, count in
            unsafe NameTrees.withPath([name]) { name in
                unsafe clinux_find_folded(directory, name, buffer, count)
            }
        }
    }
}
