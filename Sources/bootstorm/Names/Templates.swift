internal import Crypto
internal import FoundationEssentials
internal import Glibc
internal import Logging
internal import Mustache
internal import Synchronization
internal import TFTPReactor
internal import TFTPServer

/// Files made for a client: templates in Mustache's syntax, filled with the client's variables.
///
/// A template is read again when the file has changed. What it comes to is one image for all
/// clients that get the same.
final class Templates: Sendable {
    private struct Compiled: Sendable {
        let template: MustacheTemplate
        let modifiedNanoseconds: Int
        let byteCount: Int
    }

    private let folder: String
    private let logger: Logger
    private let compiled = Mutex<[String: Compiled]>([:])

    private static let templatesMax = 1024
    private static let byteCountMax = 1 << 20

    /// - Parameter folder: where paths that are not absolute begin.
    init(folder: String, logger: Logger) {
        self.folder = folder
        self.logger = logger
    }

    /// Why nothing came of a template. The line is in the template.
    private struct Problem: Error {
        let line: Int?
        let text: String
    }

    /// What a client gets.
    @Sendable func response(_ template: NameTemplate) -> TFTPServer.Response {
        do {
            let text = try render(template)
            let digest = SHA256.hash(data: Data(text.utf8)).map { String($0, radix: 16) }.joined(
                separator: ".")
            return .text(text, key: "template \(digest)")
        } catch let problem as Problem {
            let line = problem.line.map { "line \($0): " } ?? ""
            logger.error("template \(template.path): \(line)\(problem.text)")
        } catch {
            logger.error("template \(template.path): \(error)")
        }
        return .refused("Template failed", code: .notDefined)
    }

    func render(_ template: NameTemplate) throws -> String {
        let path = template.path.hasPrefix("/") ? template.path : "\(folder)/\(template.path)"
        return try compile(path).render(template.variables)
    }

    private func compile(_ path: String) throws -> MustacheTemplate {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            throw Problem(line: nil, text: "no such file")
        }
        // A file may have any time; what does not fit wraps round.
        let modified = status.st_mtim.tv_sec &* 1_000_000_000 &+ status.st_mtim.tv_nsec
        let byteCount = Int(status.st_size)
        guard byteCount <= Templates.byteCountMax else {
            throw Problem(line: nil, text: "the file is larger than 1 MiB")
        }
        if let known = compiled.withLock({ $0[path] }), known.modifiedNanoseconds == modified,
            known.byteCount == byteCount
        {
            return known.template
        }
        let fresh = Compiled(
            template: try Templates.parse(path), modifiedNanoseconds: modified,
            byteCount: byteCount)
        compiled.withLock { compiled in
            if compiled.count >= Templates.templatesMax { compiled.removeAll() }
            compiled[path] = fresh
        }
        return fresh.template
    }

    private static func parse(_ path: String) throws -> MustacheTemplate {
        let bytes: [UInt8]
        do throws(NamedFile.Failure) {
            bytes = try NamedFile.bytes(of: path, byteCountMax: Templates.byteCountMax)
        } catch {
            throw Problem(line: nil, text: "the file \(error)")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Problem(line: nil, text: "the file cannot be read as UTF-8")
        }
        do {
            // Mustache writes HTML unless told otherwise: & would become &amp;.
            return try MustacheTemplate(string: "{{% CONTENT_TYPE:TEXT}}" + text)
        } catch let error as MustacheTemplate.ParserError {
            throw Problem(line: error.context.lineNumber, text: "\(error.error)")
        }
    }
}
