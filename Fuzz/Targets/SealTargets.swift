import TFTPSeal
import TFTPWire

private let key = SealKey(id: "k1", secret: [UInt8](0..<32))!
private let keys = SealKeys(key)

private func sealed(_ name: String, _ blksize: UInt32) -> [UInt8] {
    var options = Options()
    options.blksize = blksize
    // Always the same, so that an input says everything.
    guard
        let ephemeral = try? NoiseEphemeral(privateKey: [UInt8](repeating: 7, count: 32)),
        let request = SealedRequest(
            .rrq, name: Array(name.utf8), mode: .octet, options: options, key: key,
            ephemeral: ephemeral)
    else { preconditionFailure("a request of ours can be sealed") }
    return request.packet
}

/// What opens is what was sealed: no other name, and no other options.
let sealedRequestTarget = FuzzTarget(
    "sealed-request",
    corpus: [
        sealed("boot/initrd", 1468), sealed("a", 512),
        Array("\0\u{1}sealed\0octet\0seal\0k1.AAAA\0".utf8),
    ],
    words: ["seal\0", "k1.", "k2.", "blksize\0", "1468\0", "A", "_", "=", "\0"]
) { input, hasMistake in
    let opened: OpenedRequest
    do throws(SealError) {
        opened = try OpenedRequest(input, keys: keys)
    } catch {
        // The canary takes the ID of a key for the key.
        return hasMistake && error == .notAuthentic ? "opened without its key" : nil
    }
    switch (opened.name, opened.options.blksize) {
    case (Array("boot/initrd".utf8), 1468), (Array("a".utf8), 512): return nil
    default: return "opened as \(opened.name), blksize \(opened.options.blksize ?? 0)"
    }
}

private let keyLine = "k1 " + String(repeating: "0a", count: 32)

/// A key file that is read has 1 to 64 keys of different IDs, and written again it is the same.
let keyFileTarget = FuzzTarget(
    "key-file",
    texts: [
        keyLine + "\n", "# a comment\n\n" + key.line + " # why\n",
        keyLine + "\n" + "x-_9 " + keyLine,
        keyLine + "\nk2 " + String(repeating: "F0", count: 32) + "\n", "k1 not-base64\n",
    ],
    words: ["k2 ", "\n", " ", "#", "=", "\t", "\r\n", "0a0b", "AAEC", key.line]
) { input, hasMistake in
    let text = String(decoding: input, as: UTF8.self)
    guard let keys = try? SealKeys(text) else { return nil }
    let secrets = keys.secrets
    guard (1...64).contains(secrets.count) else { return "\(secrets.count) keys" }
    // The canary sees no second key.
    let count = hasMistake ? 1 : secrets.count
    guard secrets.count == count else { return "a key is missing" }
    guard secrets.allSatisfy({ $0.count == 32 }), keys[keys.first.id] == keys.first,
        let again = try? SealKeys(keys.first.line), again.first == keys.first
    else { return "written again it is another key" }
    return nil
}
