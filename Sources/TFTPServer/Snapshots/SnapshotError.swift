internal import SystemPackage

/// Why nothing was published, or rolled back, or removed: one line that says what happened and what
/// to do.
public struct SnapshotError: Error, CustomStringConvertible, Sendable {
    /// The line.
    public let description: String

    init(_ description: String) { self.description = description }

    init(_ what: String, _ errno: Errno) {
        let wayOut =
            switch errno {
            case .noSpace, .diskQuotaExceeded:
                " Make room, for instance by removing old snapshots."
            case .permissionDenied, .notPermitted, .readOnlyFileSystem:
                " Publish as a user who may write there."
            default: ""
            }
        self.init("\(what): \(errno.description).\(wayOut)")
    }
}

/// Runs what the kernel may refuse; `what` says what that was.
func attempting<Result: ~Copyable>(
    _ what: @autoclosure () -> String, _ body: () throws(Errno) -> Result
) throws(SnapshotError) -> Result {
    do throws(Errno) {
        return try body()
    } catch {
        throw SnapshotError(what(), error)
    }
}
