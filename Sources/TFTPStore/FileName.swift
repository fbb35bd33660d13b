/// Why a requested name is not a name of ours. The peer gets ERROR 2 for it, whatever exists there.
package enum NameError: Error, Equatable {
    /// Nothing is left after normalising: `/`, `C:\`, or no byte at all.
    case empty
    /// Longer than `FileName.byteCountMax` after normalising.
    case tooLong
    /// A NUL stands inside the name: the kernel would see another name than we do.
    case invalid
}

/// A requested name in the one spelling that Bootstorm uses: relative, with single slashes.
///
/// Clients spell one file in many ways: `/boot/x`, `\Boot\x`, `C:\boot\x`, `boot//./x`. Normalising
/// makes these equal, and it is the lexical half of the jail only. `..` components stay, because
/// only the kernel can judge them in the presence of symlinks (`RESOLVE_BENEATH`).
///
/// Invariant: the bytes are not empty, do not start or end with `/`, hold no empty component, no
/// `.` component, no NUL and no leading drive letter; a NUL follows them. Normalising again changes
/// nothing.
///
/// The bytes are inline, so a name can be made and copied without an allocation; a copy moves 1
/// KiB. Where a name is made for each packet, `replace` makes it in place.
package struct FileName: Sendable, BitwiseCopyable {
    /// Capacity of a name with its NUL. Far more than the 500 bytes that fit a usual request, and
    /// far less than the kernel's `PATH_MAX`.
    package static var capacity: Int { 1024 }

    /// The longest name in bytes, without its NUL.
    package static var byteCountMax: Int { capacity - 1 }

    /// The bytes of the name, and a NUL behind them.
    @usableFromInline
    package private(set) var storage = InlineArray<1024, UInt8>(repeating: 0)

    /// How many bytes the name has without its NUL; 1 or more once `init` has succeeded.
    package private(set) var byteCount = 0

    /// Whether the request's spelling said that it means a directory: it ended with a separator or
    /// with a `.` component. The bytes no longer show that, so the caller must look here and
    /// refuse.
    package private(set) var namesDirectory = false

    /// Where the one pass over the requested bytes stands.
    private enum State {
        /// No component is kept yet: separators and drive letters are still dropped.
        case start
        /// A letter that is a drive letter if `:` follows. It is kept back until then.
        case driveLetter
        /// Behind a separator, so the next byte starts a component.
        case separator
        /// Behind a `.` that starts a component. It is kept back: `.` is dropped, `..` and `.x`
        /// stay.
        case dot
        /// Inside a component.
        case component
    }

    /// Takes a name as it stands in a request, without its NUL.
    ///
    /// Backslashes count as slashes. A drive letter is dropped wherever a name may begin, so that
    /// `/C:/x` and `./C:x` are `x` too.
    package init(normalising requested: RawSpan) throws(NameError) {
        try replace(normalising: requested)
    }

    /// Room for a name, which is none until `replace` has succeeded.
    package init() {}

    /// Takes another name, as `init(normalising:)` does. Writes only as many bytes as that has;
    /// after an error there is no name.
    package mutating func replace(normalising requested: RawSpan) throws(NameError) {
        clear()
        var state = State.start
        for index in 0..<requested.byteCount {
            state = try step(state, byte: requested.byte(at: index), in: requested, at: index)
        }
        try finish(state, in: requested)
        storage[byteCount] = 0
        checkInvariants()
    }

    private mutating func clear() {
        byteCount = 0
        namesDirectory = false
    }

    /// Whether a byte separates components, in either client's world.
    private static func isSeparator(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "/") || byte == UInt8(ascii: "\\")
    }

    static func isLetter(_ byte: UInt8) -> Bool {
        // Setting bit 5 folds A–Z onto a–z and maps no other byte into that range.
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
}

// MARK: - Normalising

extension FileName {
    private mutating func step(
        _ state: State, byte: UInt8, in requested: RawSpan, at index: Int
    ) throws(NameError) -> State {
        guard byte != 0 else { throw .invalid }
        switch state {
        case .start, .separator:
            return try stepComponentStart(state, byte: byte)
        case .driveLetter:
            if byte == UInt8(ascii: ":") { return .start }
            try append(requested.byte(at: index - 1))
        case .dot:
            if FileName.isSeparator(byte) { return byteCount == 0 ? .start : .separator }
            try openComponent()
            try append(UInt8(ascii: "."))
        case .component:
            break
        }
        if FileName.isSeparator(byte) { return .separator }
        try append(byte)
        return .component
    }

    private mutating func stepComponentStart(
        _ state: State, byte: UInt8
    ) throws(NameError) -> State {
        if FileName.isSeparator(byte) { return state }
        if byte == UInt8(ascii: ".") { return .dot }
        if state == .start, FileName.isLetter(byte) { return .driveLetter }
        try openComponent()
        try append(byte)
        return .component
    }

    /// Settles what the last state kept back.
    private mutating func finish(_ state: State, in requested: RawSpan) throws(NameError) {
        switch state {
        case .start, .component: break
        case .driveLetter: try append(requested.byte(at: requested.byteCount - 1))
        case .separator, .dot: namesDirectory = true
        }
        guard byteCount > 0 else { throw .empty }
    }

    /// Separates the component that starts now from the one before.
    private mutating func openComponent() throws(NameError) {
        if byteCount > 0 { try append(UInt8(ascii: "/")) }
    }

    private mutating func append(_ byte: UInt8) throws(NameError) {
        guard byteCount < FileName.byteCountMax else { throw .tooLong }
        storage[byteCount] = byte
        byteCount += 1
    }

    /// The two ends of the invariant; the tests check the rest on every small name.
    private func checkInvariants() {
        assert(byteCount > 0)
        assert(byteCount <= FileName.byteCountMax)
        assert(storage[0] != UInt8(ascii: "/"))
        assert(storage[byteCount - 1] != UInt8(ascii: "/"))
        assert(storage[byteCount] == 0)
    }
}

// MARK: - Reading

extension FileName {
    /// The bytes of the name without its NUL.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // UInt8 has no padding, so every byte of the array is initialised.
            unsafe storage.span.bytes.extracting(first: byteCount)
        }
    }

    /// The bytes of the name and the NUL behind them, for the kernel.
    package var terminatedBytes: RawSpan {
        @_lifetime(borrow self)
        get { unsafe storage.span.bytes.extracting(first: byteCount + 1) }
    }

    /// Calls `body` with the name as the kernel wants it, NUL-terminated. The pointer is good until
    /// `body` returns.
    ///
    /// Inlinable because it is generic: from another module it would run unspecialised, with type
    /// metadata looked up at run time.
    @inlinable
    package func withUnsafeCString<Result>(
        _ body: (UnsafePointer<CChar>) -> Result
    ) -> Result {
        unsafe storage.span.withUnsafeBufferPointer { buffer in
            // The array is never empty, so it has a base address; CChar has the layout of UInt8.
            let base = unsafe buffer.baseAddress.unsafelyUnwrapped
            return unsafe base.withMemoryRebound(to: CChar.self, capacity: buffer.count) {
                unsafe body($0)
            }
        }
    }
}

extension FileName: Equatable {
    package static func == (left: FileName, right: FileName) -> Bool {
        guard left.byteCount == right.byteCount else { return false }
        guard left.namesDirectory == right.namesDirectory else { return false }
        for index in 0..<left.byteCount where left.storage[index] != right.storage[index] {
            return false
        }
        return true
    }
}

// MARK: - Retrying

extension FileName {
    /// The name to try when this one does not exist: without the bytes at its end that a client may
    /// have left there by mistake. Nil when there are none, or when nothing else is left.
    ///
    /// Some firmwares append 0xFF, the end option of DHCP, to the name, and whatever stands in
    /// memory behind it. A name may also end with bytes that are not ASCII for good (UTF-8 does,
    /// but without 0xFF), hence only on a miss.
    package func strippingTrailingJunk() -> FileName? {
        var end = 0
        while end < byteCount, storage[end] != 0xFF { end += 1 }
        while end > 0, FileName.isJunk(storage[end - 1]) { end -= 1 }
        guard end < byteCount else { return nil }
        // Normalised again, because the junk may have been a component of its own: `boot/<FF>`.
        let kept = bytes.extracting(first: end)
        guard var name = try? FileName(normalising: kept) else { return nil }
        name.namesDirectory = name.namesDirectory || namesDirectory
        return name
    }

    /// A control character, or a byte that is not ASCII.
    private static func isJunk(_ byte: UInt8) -> Bool { byte < 0x20 || byte >= 0x7f }
}

// MARK: - Components

extension FileName {
    /// The directory that the name lies in; nil when that is the root itself.
    package var directory: FileName? {
        let end = lastComponentOffset - 1
        guard end > 0 else { return nil }
        return FileName(copying: 0..<end, of: self)
    }

    /// The name within its directory: what an upload is linked as.
    package var lastComponent: FileName {
        FileName(copying: lastComponentOffset..<byteCount, of: self)
    }

    /// What is left without the first `byteCount` bytes, which end with a slash or are none.
    package func dropping(_ byteCount: Int) -> FileName {
        byteCount == 0 ? self : FileName(copying: byteCount..<self.byteCount, of: self)
    }

    /// Whether the name begins with `prefix` and continues after it.
    package func hasPrefix(_ prefix: StaticString) -> Bool {
        let count = prefix.utf8CodeUnitCount
        guard byteCount > count else { return false }
        for index in 0..<count {
            // In bounds: `index` is less than the literal's count of code units.
            let expected = unsafe prefix.utf8Start[index]
            guard storage[index] == expected else { return false }
        }
        return true
    }

    /// Where the last component starts; 0 when the name has only one.
    package var lastComponentOffset: Int {
        var offset = byteCount
        while offset > 0, storage[offset - 1] != UInt8(ascii: "/") { offset -= 1 }
        return offset
    }

    /// A part of a name, cut at slashes, which is a name itself. A directory that the request named
    /// (`namesDirectory`) is the last component only, and the caller has refused it before.
    private init(copying range: Range<Int>, of name: FileName) {
        assert(!range.isEmpty)
        for index in range { storage[index - range.lowerBound] = name.storage[index] }
        byteCount = range.count
        checkInvariants()
    }
}

// MARK: - Literal names

extension FileName {
    /// Takes a name as it stands: a backslash and a drive letter are parts of it, and only slashes
    /// separate. For names that come from rules written for a server that does so.
    package init(literal requested: RawSpan) throws(NameError) {
        var start = 0
        for index in 0...requested.byteCount {
            let isEnd = index == requested.byteCount
            guard isEnd || requested.byte(at: index) != 0 else { throw .invalid }
            guard isEnd || requested.byte(at: index) == UInt8(ascii: "/") else { continue }
            try appendComponent(of: requested, start..<index)
            start = index + 1
        }
        guard byteCount > 0 else { throw .empty }
        checkInvariants()
    }

    /// Keeps the bytes of a request as they came, for rules that want to see them: not a name
    /// before these have judged it.
    ///
    /// Nothing of the invariant holds but that a NUL follows.
    package mutating func replace(unjudged requested: RawSpan) throws(NameError) {
        clear()
        guard requested.byteCount > 0 else { throw .empty }
        for index in 0..<requested.byteCount {
            guard requested.byte(at: index) != 0 else { throw .invalid }
            try append(requested.byte(at: index))
        }
        storage[byteCount] = 0
    }

    private mutating func appendComponent(
        of requested: RawSpan, _ range: Range<Int>
    ) throws(NameError) {
        let isDot = range.count == 1 && requested.byte(at: range.lowerBound) == UInt8(ascii: ".")
        namesDirectory = range.isEmpty || isDot
        guard !namesDirectory else { return }
        try openComponent()
        for index in range { try append(requested.byte(at: index)) }
    }

    /// The bytes, for where names are put together.
    package var byteArray: [UInt8] { (0..<byteCount).map { storage[$0] } }

    /// The name without `folder` in front of it; nil where that is not there.
    package func dropping(folder: FileName) -> FileName? {
        let count = folder.byteCount
        guard byteCount > count + 1, storage[count] == UInt8(ascii: "/") else { return nil }
        for index in 0..<count where storage[index] != folder.storage[index] { return nil }
        return dropping(count + 1)
    }

    /// The name without the absolute path of a folder in front of it; nil where that is not there.
    package func dropping(prefix path: String) -> FileName? {
        let prefix = path.utf8.drop { $0 == UInt8(ascii: "/") }
        guard !prefix.isEmpty, byteCount > prefix.count + 1,
            storage[prefix.count] == UInt8(ascii: "/"),
            zip(prefix, 0...).allSatisfy({ storage[$1] == $0 })
        else { return nil }
        return dropping(prefix.count + 1)
    }
}

extension RawSpan {
    /// The byte at `offset`; the span checks that there is one.
    fileprivate func byte(at offset: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
}
