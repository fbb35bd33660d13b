internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc

/// Where and when something was measured, for comparing reports.
struct RunEnvironment: Codable {
    /// The beginning, as ISO 8601 in UTC.
    var date: String
    var program: String
    var host: String
    var kernel: String
    var cores: Int

    /// Now, on this machine.
    static func current() -> RunEnvironment {
        var names = utsname()
        unsafe uname(&names)
        return RunEnvironment(
            date: Date().ISO8601Format(),
            program: "bootstorm \(Bootstorm.configuration.version)",
            host: unsafe text(&names.nodename),
            kernel:
                unsafe "\(text(&names.sysname)) \(text(&names.release)) \(text(&names.machine))",
            cores: ProcessInfo.processInfo.activeProcessorCount)
    }

    /// A C string in an array of the kernel's, which ends with a NUL.
    @unsafe
    private static func text<Field>(_ field: inout Field) -> String {
        unsafe withUnsafeBytes(of: &field) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
