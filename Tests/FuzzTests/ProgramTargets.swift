import Foundation
import FuzzTargets
import NIOHTTP1
import TFTPFetch
import Testing

@testable import TFTPPeer
@testable import bootstorm

/// What a web server says: numbers and parts are those that stand there, and no URL leads to
/// another site than its text.
let answerTarget = FuzzTarget(
    "http-answer",
    texts: [
        "Content-Length: 12\nContent-Range: bytes 0-11/12\nRetry-After: 3",
        "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\nContent-Range: bytes */100",
        "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\nDate: Mon, 07 Nov 1994 08:49:37 GMT",
        "Transfer-Encoding: chunked\nContent-Length: 5\nLocation: https://h:8/a%2fb?x#y",
        "Location: //h/a\nContent-Range: bytes 5-/\nRetry-After: 99999999999999999999",
    ],
    words: [
        "Content-Length: ", "Content-Range: bytes ", "Retry-After: ", "Location: http://", "\n",
        "-", "/", "*", "18446744073709551616", "Dec", ":", " GMT", "%2e%2e", "@", "[::1]",
    ]
) { input, hasMistake in
    var headers = HTTPHeaders()
    for line in String(decoding: input, as: UTF8.self).split(separator: "\n").prefix(50) {
        let parts = line.split(separator: ":", maxSplits: 1)
        // What reads answers from the network lets no other names through.
        guard parts.count == 2, parts[0].utf8.allSatisfy({ $0 < 0x7F }) else { continue }
        headers.add(
            name: String(parts[0]), value: parts[1].trimmingCharacters(in: .whitespaces))
    }
    // The canary believes a length also where the body comes in chunks.
    if hasMistake && headers["Transfer-Encoding"].count > 0 && headers.contentLength == nil
        && headers["Content-Length"].first == "5"
    {
        return "no length"
    }
    _ = headers.contentRange
    let answered = headers["Date"].first
    if let retry = headers["Retry-After"].first.flatMap({ RetryAfter($0, answered: answered) }) {
        guard (.zero ... .seconds(86_400)).contains(retry.delay) else { return "\(retry.delay)" }
    }
    guard let url = headers["Location"].first.flatMap({ WebURL($0) }) else { return nil }
    guard !url.site.host.isEmpty, url.path.hasPrefix("/") else { return "\(url)" }
    let below = url.appending("a/../../b")
    return below.map { $0.site == url.site } ?? true ? nil : "another site"
}

private let digest = Digest(of: [1, 2, 3])
private let manifest = Manifest(
    name: "a/b", size: 3, modifiedSeconds: 1, chunkByteCount: 1 << 20, digests: [digest])
private let node = NodeID("9f3a06c2d417be55")!

/// What nodes tell each other: what is read is what was written.
let nodeTextTarget = FuzzTarget(
    "node-text",
    texts: [
        manifest.text, Announcement(node: node, port: 69, seconds: 1).text(secret: nil),
        Announcement(node: node, port: 69, seconds: 1).text(secret: [1, 2, 3]),
        Offer(node: node, state: .absent).text,
    ],
    words: [
        "name ", "size ", "digest ", "chunk ", "node ", "port ", "state ", "tag ", "\n", " ", "-1",
        "18446744073709551616", "..", "/",
    ]
) { input, hasMistake in
    let text = String(decoding: input, as: UTF8.self)
    if let heard = Announcement(text, secrets: [[1, 2, 3]], now: 1) {
        guard heard.port == 69, heard.node == node else { return "believed without a right tag" }
    }
    if let heard = Announcement(text, secrets: [], now: 1) {
        // The canary cannot do with other ports.
        guard !hasMistake || heard.port == 69 else { return "port \(heard.port)" }
        guard heard.port > 0 else { return "port 0" }
    }
    if let offer = Offer(text) {
        guard Offer(offer.text) == offer else { return "another offer when written again" }
    }
    guard let read = Manifest(text) else { return nil }
    return Manifest(read.text) == read ? nil : "another manifest when written again"
}

/// A configuration file is read, or every mistake in it has a line; nothing else happens.
let configurationTarget = FuzzTarget(
    "configuration",
    texts: [
        "listen:\n  - 0.0.0.0:69\ncache: 1GiB\nlog-level: info\n",
        "policies:\n- network: 10.0.0.0/8\n  blksize-max: 1428\n- kind: grub\n",
        "transfers-max: 9999999999999999999999\n? [a]\n: b\n", "a: &x [*x, *x]\n", "{",
        "- !!int x\n",
        "rules:\n- match: ^a\n  rewrite: b\n",
    ],
    words: [
        "listen: ", "policies:\n", "- ", "network: ", ": ", "\n", "  ", "&a ", "*a", "!!binary ",
        "[", "]", "{", "}", "\"", "'", "|\n", ">\n", "---\n", "\t", "#", "%YAML 1.1\n",
    ]
) { input, hasMistake in
    let text = String(decoding: input, as: UTF8.self)
    // The canary stops at the first mistake.
    do throws(ConfigurationErrors) {
        let file = try ConfigurationFile(path: "f", text: text)
        guard file.entries.allSatisfy({ $0.line > 0 }) else { return "a key without a line" }
    } catch {
        guard !error.all.isEmpty else { return "no reason" }
        guard hasMistake, error.all.count > 1 else { return nil }
        return "more than one mistake"
    }
    _ = try? RuleFile.rules(of: text)
    return nil
}
