// The packed program's stand-in for Foundation. A static program that uses one name of
// Foundation's own library gets all of it, with CoreFoundation and ICU (8 MB). Bootstorm and the
// packages that it is made of use FoundationEssentials, and swift-mustache three names more: they
// are here. A package that uses a fourth does not compile.

@_exported import FoundationEssentials
import Synchronization

public final class NSLock: Sendable {
    private let mutex = Mutex(())

    public init() {}

    public func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
        mutex._unsafeLock()
        defer { mutex._unsafeUnlock() }
        return try body()
    }
}

public final class NSNull: Sendable {
    public init() {}
}

extension FileManager {
    public func enumerator(atPath path: String) -> [Any]? {
        try? subpathsOfDirectory(atPath: path)
    }
}
