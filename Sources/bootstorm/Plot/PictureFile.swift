internal import ArgumentParser
internal import CLinux
internal import FoundationEssentials
internal import Glibc

/// Where a picture goes: FILE.svg, or FILE.png by way of `rsvg-convert`.
struct PictureFile {
    private enum Format {
        case svg
        case png(converter: URL)
    }

    private let file: OutputFile
    private let format: Format

    /// Reads the value of `--plot`. Rejects a file that cannot be drawn before anything is
    /// measured.
    @Sendable
    static func argument(_ path: String) throws -> PictureFile {
        switch path.split(separator: ".").last?.lowercased() {
        case "svg":
            return PictureFile(file: OutputFile(path), format: .svg)
        case "png":
            guard let converter = executable(named: "rsvg-convert") else {
                throw ValidationError(
                    "\(path): PNG needs rsvg-convert (Debian: librsvg2-bin). Install it, or name a FILE.svg."
                )
            }
            return PictureFile(file: OutputFile(path), format: .png(converter: converter))
        default:
            throw ValidationError("\(path): a picture is FILE.svg or FILE.png.")
        }
    }

    func check() throws(OutputError) { try file.check() }

    func write(_ canvas: Canvas) throws(OutputError) {
        switch format {
        case .svg: try file.write(canvas.svg)
        case .png(let converter): try convert(canvas.svg, converter)
        }
    }

    /// Hands the SVG over as a file: the converter may end at any time, and a pipe would break.
    private func convert(_ svg: String, _ converter: URL) throws(OutputError) {
        let source = FileManager.default.temporaryDirectory.appendingPathComponent(
            "bootstorm-\(UUID().uuidString).svg")
        defer { try? FileManager.default.removeItem(at: source) }
        try OutputFile(source.path).write(svg)
        let status = runQuietly(
            [converter.path, "--zoom", "2", "--output", file.path, source.path])
        guard status >= 0 else {
            throw OutputError(path: file.path, reason: "rsvg-convert cannot be started")
        }
        guard status == 0 else {
            throw OutputError(path: file.path, reason: "rsvg-convert failed (\(status))")
        }
    }

    /// Runs a program to its end.
    ///
    /// - Returns: its exit status, or a negated errno where it cannot be started.
    private func runQuietly(_ words: [String]) -> Int32 {
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { pointer in unsafe free(pointer) } }
        return unsafe clinux_run_quietly(&arguments)
    }

    private static func executable(named name: String) -> URL? {
        let folders = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":") ?? []
        return folders.map { URL(fileURLWithPath: "\($0)/\(name)") }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }
}
