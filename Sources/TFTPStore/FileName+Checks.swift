/// Which names may be served, and which written.
extension FileName {
    /// Whether any component is `..`, a way to a directory that exists already. (`.` never gets
    /// this far.)
    package var goesUp: Bool {
        var start = 0
        for index in 0..<byteCount where storage[index] == UInt8(ascii: "/") {
            if isDotDot(start..<index) { return true }
            start = index + 1
        }
        return isDotDot(start..<byteCount)
    }

    private func isDotDot(_ component: Range<Int>) -> Bool {
        component.count == 2
            && component.allSatisfy { storage[$0] == UInt8(ascii: ".") }
    }

    /// Whether a file may be made under this name.
    ///
    /// The kernel lets `..` pass as long as it stays within the root. A handler that judges an
    /// upload by the folder that its name begins with would be led into another one, so no upload
    /// may contain it.
    package var isWritable: Bool { !namesDirectory && !isReserved && !goesUp && isPlain }

    /// Whether no component has a control character or begins with a dash: such a name would
    /// mislead a user who lists the folder, or a program that takes the name as an argument.
    private var isPlain: Bool {
        var isStart = true
        for index in 0..<byteCount {
            let byte = storage[index]
            if byte < 0x20 || byte == 0x7F { return false }
            if isStart && byte == UInt8(ascii: "-") { return false }
            isStart = byte == UInt8(ascii: "/")
        }
        return true
    }

    /// The start of the name of an unfinished upload, where the file system has no unnamed ones.
    package static var uploadPrefix: StaticString { ".bootstorm-upload-" }

    /// Whether any component is an unfinished upload of ours, which is neither served nor written.
    ///
    /// Upper and lower case count as equal: file systems without unnamed files (FAT) mostly do so
    /// too.
    package var isReserved: Bool {
        var start = 0
        for index in 0..<byteCount where storage[index] == UInt8(ascii: "/") {
            if hasUploadPrefix(at: start) { return true }
            start = index + 1
        }
        return hasUploadPrefix(at: start)
    }

    private func hasUploadPrefix(at start: Int) -> Bool {
        let prefixByteCount = FileName.uploadPrefix.utf8CodeUnitCount
        guard byteCount - start >= prefixByteCount else { return false }
        for index in 0..<prefixByteCount {
            // In bounds: `index` is less than the literal's count of code units.
            let expected = unsafe FileName.uploadPrefix.utf8Start[index]
            let byte = storage[start + index]
            guard byte == expected || FileName.isLetter(byte) && byte | 0x20 == expected else {
                return false
            }
        }
        return true
    }
}
