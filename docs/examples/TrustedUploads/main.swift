import Foundation
import TFTPServer

// Takes configuration backups of switches. A backup counts only when it is whole: its last line is
// the CRC-32 of what stands before it, and the switch gets its last ACK when the file is safely in
// the folder of its address.
//
//     TrustedUploads /srv/backups :6969
let root = URL(filePath: CommandLine.arguments[1])
let byteCountMax = 1 << 20

struct Damaged: Error {}

func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(~0) { sum, byte in
        (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in
            sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1
        }
    }
}

/// What stands before the last line, if that is its checksum in hexadecimal.
func checked(_ backup: [UInt8]) throws -> ArraySlice<UInt8> {
    let body = backup.dropLast(9)
    let line = String(decoding: backup.suffix(9), as: UTF8.self)
    guard line.last == "\n", UInt32(line.dropLast(), radix: 16) == crc32(body) else {
        throw Damaged()
    }
    return body
}

/// Writes a file that is whole or not there, and on the disk when this returns.
func keep(_ content: ArraySlice<UInt8>, of client: TFTPServer.Client) throws {
    let folder = root.appending(path: client.address)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let temporary = folder.appending(path: ".\(UUID())")
    try Data(content).write(to: temporary)
    let file = try FileHandle(forWritingTo: temporary)
    try file.synchronize()
    try file.close()
    // In one step, over an older one.
    guard rename(temporary.path, folder.appending(path: "config").path) == 0 else {
        throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
}

var configuration = TFTPServer.Configuration(root: root.path)
configuration.listen = [try TFTPServer.ListenAddress(CommandLine.arguments[2])]
configuration.uploadSizeMax = UInt64(byteCountMax)

let server = TFTPServer(configuration) { _ in
    .refused("backups are not handed out")
} put: { upload in
    guard upload.name == "backup" else { return .refuse() }
    return .take { chunks in
        var backup: [UInt8] = []
        for try await chunk in chunks { backup += chunk }
        try keep(try checked(backup), of: upload.client)
    }
}
try await server.run()
