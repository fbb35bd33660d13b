/// One column of a struct-of-arrays table: a fixed-capacity array of plain values.
///
/// Allocated once, at start-up, and never resized. The subscript is bounds-checked in debug builds
/// only: a slot comes from the table that owns the column, so a bad one is our bug, not the peer's.
@safe
package struct Column<Element: BitwiseCopyable>: ~Copyable {
    @usableFromInline let storage: UnsafeMutableBufferPointer<Element>

    package init(repeating element: Element, count: Int) {
        unsafe storage = .allocate(capacity: count)
        unsafe storage.initialize(repeating: element)
    }

    /// Memory that is not touched before it is used. Each element is to be written before it is read.
    package init(uninitializedCount count: Int) { unsafe storage = .allocate(capacity: count) }

    deinit { unsafe storage.deallocate() }

    package var count: Int { unsafe storage.count }

    // Inlinable because generic code is not specialised across modules otherwise: without it each
    // access is a call through a witness.
    @inlinable
    package subscript(slot: Int) -> Element {
        _read {
            unsafe assert(slot >= 0 && slot < storage.count)
            yield unsafe storage.baseAddress.unsafelyUnwrapped[slot]
        }
        nonmutating _modify {
            unsafe assert(slot >= 0 && slot < storage.count)
            yield unsafe &storage.baseAddress.unsafelyUnwrapped[slot]
        }
    }
}

/// Columns hand out no reference into their memory, so a column moves between threads as a value does.
extension Column: @unchecked Sendable {}
