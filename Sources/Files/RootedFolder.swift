package import CLinux
package import SystemPackage
package import TFTPStore

/// A folder that names are resolved beneath: neither `..` nor a symbolic link leads out of it.
///
/// A value that borrows its descriptor, which stays open as long as this is used.
package struct RootedFolder: Sendable {
    /// The folder, open to look only or more.
    package let descriptor: Int32

    /// - Parameter descriptor: an open folder; stays the caller's.
    package init(_ descriptor: Int32) { self.descriptor = descriptor }

    private static let resolve = UInt64(CLINUX_RESOLVE_BENEATH)

    /// Opens what `name` leads to, or the folder itself. The descriptor is the caller's.
    package func open(_ name: FileName?, _ flags: Int32, mode: Int32 = 0) throws(Errno) -> Int32 {
        guard let name else {
            return try check(
                unsafe clinux_open_beneath(descriptor, ".", flags, mode, RootedFolder.resolve))
        }
        return try check(
            unsafe name.withUnsafeCString {
                unsafe clinux_open_beneath(descriptor, $0, flags, mode, RootedFolder.resolve)
            })
    }

    /// What `name` leads to now, without opening it; nil where it leads nowhere.
    ///
    /// - Parameter followsLink: false tells of a symbolic link what the link itself is.
    package func status(
        of name: FileName, followsLink: Bool = true
    ) throws(Errno) -> clinux_status? {
        let file: Int32
        do throws(Errno) {
            file = try open(name, followsLink ? clinux_flags_path() : clinux_flags_look())
        } catch .noSuchFileOrDirectory {
            return nil
        }
        defer { clinux_close(file) }
        return try Files.status(ofOpen: file)
    }

    /// Whether all users may enter the folders on the way to `name`, as far as there are any.
    package func isOpenToAll(_ name: FileName) -> Bool {
        var folder = name.directory
        while let name = folder {
            do throws(Errno) {
                if let status = try status(of: name), !status.is_enterable { return false }
            } catch {
                return false
            }
            folder = name.directory
        }
        return true
    }
}
