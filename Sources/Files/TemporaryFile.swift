internal import CLinux
package import SystemPackage

/// A file that takes its name when it is complete. Until then it has no name, or one that begins
/// with a dot if the file system does not support files without a name.
///
/// It is locked (flock(2)) while it is open, so that the leftovers of a killed process can be told
/// from the files that other processes still write. A value that owns neither descriptor: the
/// caller closes both.
package struct TemporaryFile: Sendable {
    /// Open for writing.
    package let descriptor: Int32
    /// The folder that it is made in, and gets its name in.
    package let directory: Int32
    /// The temporary name, while there is one.
    package private(set) var name: String?
    private let prefix: String

    /// - Parameters:
    ///   - prefix: what a temporary name begins with.
    ///   - mode: permission bits, less those that the process's umask takes.
    /// - Throws: `permissionDenied` where the folder may not be written, and what else open(2)
    ///   says.
    package init(in directory: Int32, prefix: String, mode: Int32) throws(Errno) {
        self.directory = directory
        self.prefix = prefix
        let unnamed = unsafe clinux_open_beneath(directory, ".", clinux_flags_unnamed(), mode, 0)
        if unnamed >= 0 {
            descriptor = unnamed
        } else {
            guard TemporaryFile.isUnsupported(Errno(rawValue: -unnamed)) else {
                throw Errno(rawValue: -unnamed)
            }
            let name = TemporaryFile.makeName(prefix)
            descriptor = try check(
                unsafe name.withCString {
                    unsafe clinux_open_beneath(directory, $0, clinux_flags_create(), mode, 0)
                })
            self.name = name
        }
        // A file system without locks has no leftovers removed from it.
        _ = clinux_lock_alone(descriptor, false)
    }

    /// A file without a name that was made for something else in the same folder, which is open as
    /// `directory` now.
    package init(reusing file: TemporaryFile, in directory: Int32) {
        assert(file.name == nil)
        self.directory = directory
        descriptor = file.descriptor
        prefix = file.prefix
    }

    /// A file that never gets a name: it is gone when it is closed.
    package init(unnamedIn directory: Int32, mode: Int32) throws(Errno) {
        self.directory = directory
        prefix = ""
        descriptor = try check(
            unsafe clinux_open_beneath(directory, ".", clinux_flags_unnamed(), mode, 0))
    }

    /// What file systems and old kernels say that have no files without a name.
    private static func isUnsupported(_ errno: Errno) -> Bool {
        errno == .notSupportedOnSocket || errno == .isDirectory || errno == .invalidArgument
    }

    private static func makeName(_ prefix: String) -> String {
        prefix + String(clinux_random(), radix: 16)
    }

    /// Gives it the name `leaf` in `folder`, where no file has that name.
    ///
    /// - Throws: `fileExists` where one has.
    @unsafe
    package mutating func link(as leaf: UnsafePointer<CChar>, in folder: Int32) throws(Errno) {
        guard let name else {
            try check(unsafe clinux_link_unnamed(descriptor, folder, leaf))
            return
        }
        try check(
            unsafe name.withCString { from in
                folder == directory
                    ? unsafe clinux_rename_new(directory, from, leaf)
                    : unsafe clinux_link_unnamed(descriptor, folder, leaf)
            })
    }

    /// Gives it the name `leaf` in its folder, in one step, whatever had it before.
    @unsafe
    package mutating func replace(_ leaf: UnsafePointer<CChar>) throws(Errno) {
        if name == nil {
            let name = TemporaryFile.makeName(prefix)
            try check(
                unsafe name.withCString {
                    unsafe clinux_link_unnamed(descriptor, directory, $0)
                })
            self.name = name
        }
        guard let name else { return }
        try check(unsafe name.withCString { unsafe clinux_rename(directory, $0, leaf) })
        self.name = nil
    }

    /// Takes the temporary name away, if there is one.
    package mutating func removeName() {
        guard let name else { return }
        _ = unsafe name.withCString { unsafe clinux_unlink(directory, $0) }
        self.name = nil
    }
}
