package import CLinux
package import SystemPackage
package import TFTPStore

extension FileIdentity {
    /// The version of a file that the kernel has told the status of.
    package init(_ status: clinux_status) {
        self.init(
            device: status.device, inode: status.inode, byteCount: status.byte_count,
            modifiedNanoseconds: status.modified_ns, changedNanoseconds: status.changed_ns)
    }
}

extension InodeIdentity {
    /// The folder that the kernel has told the status of.
    package init(_ status: clinux_status) {
        self.init(device: status.device, inode: status.inode)
    }
}

/// What the kernel says of an open file now.
package func status(ofOpen file: Int32) throws(Errno) -> clinux_status {
    var status = clinux_status()
    try check(unsafe clinux_status_of(file, &status))
    return status
}

/// Throws the error that a negative result stands for, and returns any other.
@discardableResult
package func check(_ result: Int32) throws(Errno) -> Int32 {
    if result < 0 { throw Errno(rawValue: -result) }
    return result
}
