internal import Synchronization

/// A field that has its struct passed by address, and all that contain it.
///
/// The compiler takes a noncopyable struct of any size for something to be loaded and stored: for a
/// call of a method in another module it copies the whole of it to the stack, a dozen times a
/// packet. One that has an atomic in it has to stay where it is.
struct InPlace: ~Copyable {
    private let word = Atomic<UInt8>(0)
}
