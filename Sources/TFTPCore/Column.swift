/// One column of a struct-of-arrays table: a fixed-capacity array of plain values.
///
/// Allocated once, at start-up, and never resized. The subscript is bounds-checked in debug builds
/// only: a slot comes from the table that owns the column, so a bad one is our bug, not the peer's.
@safe
package struct Column<Element: BitwiseCopyable>: ~Copyable {
    @usableFromInline let storage: UnsafeMutableBufferPointer<Element>

    /// A column of `count` elements, each of them `element`.
    package init(repeating element: Element, count: Int) {
        unsafe storage = .allocate(capacity: count)
        unsafe storage.initialize(repeating: element)
    }

    /// Memory that is not touched before it is used. Each element is to be written before it is
    /// read.
    package init(uninitializedCount count: Int) { unsafe storage = .allocate(capacity: count) }

    /// As many as there are, for good.
    package init(_ elements: [Element]) {
        unsafe storage = .allocate(capacity: elements.count)
        _ = unsafe storage.initialize(from: elements)
    }

    deinit { unsafe storage.deallocate() }

    /// Where an element lies, for tables that hand out places of a column as their own.
    @unsafe @inlinable
    package func address(of slot: Int) -> UnsafeMutablePointer<Element> {
        unsafe assert(slot >= 0 && slot < storage.count)
        return unsafe storage.baseAddress.unsafelyUnwrapped + slot
    }

    /// How many elements there are.
    package var count: Int { unsafe storage.count }

    // Addresses rather than coroutines: across modules the compiler makes calls of these, inlinable
    // or not, and one that returns an address is seven instructions, where one that yields is two
    // calls and a frame.
    @inlinable
    package subscript(slot: Int) -> Element {
        @inline(__always)
        unsafeAddress {
            unsafe assert(slot >= 0 && slot < storage.count)
            return unsafe UnsafePointer(storage.baseAddress.unsafelyUnwrapped + slot)
        }
        @inline(__always)
        nonmutating unsafeMutableAddress {
            unsafe assert(slot >= 0 && slot < storage.count)
            return unsafe storage.baseAddress.unsafelyUnwrapped + slot
        }
    }
}

/// Columns hand out no reference into their memory, so a column moves between threads as a value
/// does.
extension Column: @unchecked Sendable {}
