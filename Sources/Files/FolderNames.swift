internal import CLinux
internal import Glibc
package import SystemPackage

/// The names in a folder without `.` and `..`, sorted.
///
/// - Parameter descriptor: the folder, open to be listed; this closes it.
/// - Throws: `illegalByteSequence` if a name is not UTF-8.
package func names(inOpenFolder descriptor: Int32) throws(Errno) -> [String] {
    guard let stream = unsafe fdopendir(descriptor) else {
        let failure = Errno(rawValue: errno)
        clinux_close(descriptor)
        throw failure
    }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = unsafe readdir(stream) {
        // The kernel ends the name with a NUL, within the entry that it has just filled.
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
            unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) {
                unsafe String(validatingCString: $0)
            }
        }
        guard let name else { throw .illegalByteSequence }
        if name != "." && name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw Errno(rawValue: errno) }
    return names.sorted()
}
