internal import CLinux
internal import TFTPNames

/// The names in folders by their lower-case spelling, where the case of letters does not matter.
///
/// A folder is read again when its times have changed. Times are coarse, so a folder that has
/// changed within the last two seconds is searched for each name, and so is one with more names
/// than there is room for: none costs more than a search at each look-up. Of names that differ in
/// case only, the first in the order of bytes is found.
final class FoldedListings {
    private struct Folder: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    private struct Listing {
        /// nil: too many, at `usedAt`.
        var names: [[UInt8]: [UInt8]]?
        let modifiedNanoseconds: Int64
        let changedNanoseconds: Int64
        var usedAt: Int64

        var nameCount: Int { names?.count ?? 0 }
    }

    private var listings: [Folder: Listing] = [:]
    private var nameCount = 0
    /// How often a folder was read.
    private(set) var readCount = 0

    /// Of all listings together; a folder with more is searched instead.
    private let nameCountMax: Int
    private static let settledNanoseconds: Int64 = 2_000_000_000
    /// A listing that was used within this time makes no room for another.
    private static let restNanoseconds: Int64 = 10_000_000_000
    private static let listingsMax = 65_536

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
        if let known = listings[folder], known.modifiedNanoseconds == status.modified_ns,
            known.changedNanoseconds == status.changed_ns
        {
            if let names = known.names {
                listings[folder]?.usedAt = now
                return names[name.map(\.lowercased)]
            }
            let isRecent = abs(now - known.usedAt) < FoldedListings.restNanoseconds
            if isRecent { return search(name, in: directory) }
        }
        forget(folder)
        // Another machine's clock, or a driver's idea of times, is not relied on, nor are times
        // that may stay as they are with the next change.
        // The clock may have been set back since: the next change still gets a time near to `now`.
        let isSettled = [status.modified_ns, status.changed_ns].allSatisfy {
            abs(now - $0) > FoldedListings.settledNanoseconds
        }
        guard isSettled, clinux_is_local(directory) else {
            return search(name, in: directory)
        }
        var listing = Listing(
            modifiedNanoseconds: status.modified_ns, changedNanoseconds: status.changed_ns,
            usedAt: now)
        listing.names = read(directory)
        makeRoom(for: listing, now: now)
        if nameCount + listing.nameCount > nameCountMax { listing.names = nil }
        listings[folder] = listing
        nameCount += listing.nameCount
        guard let names = listing.names else { return search(name, in: directory) }
        return names[name.map(\.lowercased)]
    }

    private func forget(_ folder: Folder) {
        guard let old = listings.removeValue(forKey: folder) else { return }
        nameCount -= old.nameCount
    }

    /// Forgets what was not used lately, where there is no room.
    private func makeRoom(for listing: Listing, now: Int64) {
        if listings.count >= FoldedListings.listingsMax {
            listings.removeAll()
            nameCount = 0
        }
        guard nameCount + listing.nameCount > nameCountMax else { return }
        for (folder, other) in listings
        where abs(now - other.usedAt) >= FoldedListings.restNanoseconds { forget(folder) }
    }

    /// The names by their lower-case spelling; nil where there are too many, or they cannot be
    /// read.
    private func read(_ directory: Int32) -> [[UInt8]: [UInt8]]? {
        readCount += 1
        var byteCount: UInt32 = 0
        guard let bytes = unsafe clinux_names_in(directory, &byteCount) else { return nil }
        defer { unsafe clinux_names_free(bytes) }
        // The function has written that many bytes.
        let all = unsafe Array(UnsafeRawBufferPointer(start: bytes, count: Int(byteCount)))
        var names: [[UInt8]: [UInt8]] = [:]
        for name in all.split(separator: 0).map(Array.init) {
            let folded = name.map(\.lowercased)
            if let other = names[folded], other.lexicographicallyPrecedes(name) { continue }
            // Most names are in lower case, and one array does for both.
            names[folded] = name == folded ? folded : name
            guard names.count <= nameCountMax else { return nil }
        }
        return names
    }

    private func search(_ name: [UInt8], in directory: Int32) -> [UInt8]? {
        unsafe NameTrees.bytes { buffer, count in
            unsafe NameTrees.withPath([name]) { name in
                unsafe clinux_find_folded(directory, name, buffer, count)
            }
        }
    }
}
