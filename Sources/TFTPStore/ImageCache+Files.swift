/// The files that images are read from: closed while no client needs them, opened again by name,
/// and never more open than may be.
extension ImageCache {
    /// Images with an open file that no transfer holds.
    package func idleFiles() -> [(ImageID, Int32)] {
        entries.compactMap { entry in
            guard let entry, entry.file >= 0, !imageIndex.isHeld(entry.id) else { return nil }
            return (entry.id, entry.file)
        }
    }

    /// Closes files that were not read from since the last call and whose images no transfer holds,
    /// so that they keep no file system from being unmounted. Called now and then.
    package mutating func closeIdleFiles() {
        for index in entries.indices {
            guard let entry = entries[index], isClosable(entry), entry.usedAt <= sweptUsesCount,
                !imageIndex.isHeld(entry.id)
            else { continue }
            closeFile(index: index)
        }
        sweptUsesCount = usesCount
    }

    func isClosable(_ entry: Entry) -> Bool {
        entry.file >= 0 && entry.isReopenable && entry.readsInFlight == 0
    }

    /// Closes the file that was not read from for the longest time, if as many are open as may be.
    mutating func makeRoomForFile() {
        guard openFileCount >= filesMax else { return }
        var found: (index: Int, usedAt: Int)?
        for index in entries.indices {
            guard let entry = entries[index], isClosable(entry),
                entry.usedAt < found?.usedAt ?? .max
            else { continue }
            found = (index, entry.usedAt)
        }
        if let found { closeFile(index: found.index) }
    }

    /// The file of an image is open again, and is what it was.
    package mutating func didReopen(_ image: ImageID, file: Int32) {
        makeRoomForFile()
        guard let waiting = takeReopening(image) else {
            actions.append(.closeFile(file))
            return
        }
        entries[Int(image.index)]?.file = file
        openFileCount += 1
        for number in waiting { load(ExtentKey(image: image, number: number)) }
    }

    /// The file of an image cannot be opened again, or is another one by now.
    package mutating func didNotReopen(_ image: ImageID, _ failure: StoreFailure) {
        guard takeReopening(image) != nil else { return }
        fail(image, failure)
    }

    mutating func takeReopening(_ image: ImageID) -> [Int]? {
        let index = Int(image.index)
        guard let entry = entries[index], entry.id == image else { return nil }
        entries[index]?.reopening = []
        entries[index]?.readsInFlight -= 1
        return entry.reopening
    }

    /// Has the file opened again that was closed.
    mutating func reopen(_ key: ExtentKey, _ entry: Entry) {
        guard entry.isReopenable else { return fail(key.image, .changed) }
        let index = Int(key.image.index)
        guard !entry.reopening.contains(key.number) else { return }
        entries[index]?.reopening.append(key.number)
        guard entry.reopening.isEmpty else { return }
        // It counts as a read: the image stays until the answer.
        entries[index]?.readsInFlight += 1
        actions.append(.reopen(key.image))
    }

    mutating func closeFile(index: Int) {
        guard let file = entries[index]?.file, file >= 0 else { return }
        actions.append(.closeFile(file))
        entries[index]?.file = -1
        openFileCount -= 1
    }

    /// The content of `file` is about to be replaced in place: nothing more is read for images of
    /// it, and none of them is found any more.
    package mutating func failImages(of file: InodeIdentity) {
        for entry in entries {
            guard let entry, entry.supply == nil,
                entry.identity.device == file.device, entry.identity.inode == file.inode
            else { continue }
            fail(entry.id, .changed)
        }
    }
}
