/// Who waits for what, and what is to be read.
extension ImageCache {
    /// A transfer that cannot go on without an extent.
    package struct Waiter: Equatable, BitwiseCopyable, Sendable {
        package var shard: UInt32
        package var slot: UInt32
        package var generation: UInt32

        package init(shard: UInt32, slot: UInt32, generation: UInt32) {
            self.shard = shard
            self.slot = slot
            self.generation = generation
        }
    }

    /// An extent of an image, by its number.
    package struct ExtentKey: Hashable, Sendable {
        package var image: ImageID
        package var number: Int
    }

    /// A read to be made. The answer goes to `didRead`.
    package struct ReadOrder: Equatable, Sendable {
        package var key: ExtentKey
        package var file: Int32
        package var fileOffset: UInt64
        package var arenaOffset: Int
        package var byteCount: Int
    }
}
