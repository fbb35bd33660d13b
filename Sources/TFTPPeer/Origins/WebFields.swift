internal import FoundationEssentials
internal import NIOHTTP1

extension HTTPHeaders {
    /// The length of the body, where it is said once (RFC 9110 §8.6); nil for a body in chunks.
    var contentLength: UInt64? {
        guard first(name: "Transfer-Encoding") == nil else { return nil }
        return first(name: "Content-Length").flatMap { UInt64($0) }
    }

    /// Which part of a file the body is (RFC 9110 §14.4); `size` is nil where the server does not
    /// know.
    var contentRange: (start: UInt64, size: UInt64?)? {
        guard let text = first(name: "Content-Range"), text.lowercased().hasPrefix("bytes ")
        else { return nil }
        let parts = text.dropFirst("bytes ".count).split(separator: "/")
        guard parts.count == 2,
            // A range that cannot be had is written `*`.
            let start = parts[0].hasPrefix("*")
                ? 0
                : parts[0].split(separator: "-").first.flatMap({
                    UInt64($0.trimmingWhitespace())
                })
        else { return nil }
        return (start, UInt64(parts[1].trimmingWhitespace()))
    }

    func first(name: String) -> String? { self[name].first }
}

/// When a server wants to be asked again (RFC 9110 §10.2.3).
struct RetryAfter: Equatable, Sendable {
    /// From now.
    let delay: Duration

    /// Reads a number of seconds, or a date (RFC 9110 §5.6.7); nil for anything else.
    ///
    /// - Parameter answered: the date of the answer, which a date counts from: this machine's clock
    ///   may be wrong, and the server's, too.
    init?(_ text: String, answered: String? = nil, now: Date = Date()) {
        let text = text.trimmingWhitespace()
        if let seconds = Int(text), seconds >= 0 {
            delay = .seconds(min(seconds, 86_400))
            return
        }
        guard let date = RetryAfter.date(text) else { return nil }
        let start = answered.flatMap(RetryAfter.date) ?? now
        delay = .seconds(min(86_400, max(0, date.timeIntervalSince(start))))
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`.
    private static func date(_ text: String) -> Date? {
        let words = text.split(separator: " ")
        let months = "JanFebMarAprMayJunJulAugSepOctNovDec"
        guard words.count == 6, words[5] == "GMT", let day = Int(words[1]),
            let month = months.firstRange(of: words[2]), let year = Int(words[3])
        else { return nil }
        let time = words[4].split(separator: ":").compactMap { Int($0) }
        guard time.count == 3, (1...31).contains(day), (1970...9999).contains(year),
            time.allSatisfy({ (0...60).contains($0) })
        else { return nil }
        let index = months.distance(from: months.startIndex, to: month.lowerBound) / 3
        let parts = DateComponents(
            calendar: Calendar(identifier: .gregorian), timeZone: .gmt, year: year,
            month: index + 1, day: day, hour: time[0], minute: time[1], second: time[2])
        return parts.date
    }
}
