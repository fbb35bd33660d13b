import Foundation
import Logging
import TFTPClient
import TFTPServer

/// A server with seal keys and what a client needs to talk with it.
struct SealedPair {
    let served: Served

    var server: TFTPClient.Server { served.server }
    var client: TFTPClient { served.client }
    var folder: Folder { served.folder }

    /// - Parameters:
    ///   - names: the server's keys.
    ///   - requires: whether plain requests are refused.
    static func run(
        keys names: [String] = ["k1"], requires: [TFTPServer.Network] = [],
        prepare: (Folder) throws -> Void = { _ in },
        configure: (inout TFTPServer.Configuration) -> Void = { _ in },
        get: TFTPServer.GetHandler? = nil, put: TFTPServer.PutHandler? = nil,
        body: (SealedPair) async throws -> Void
    ) async throws {
        let keys = try TFTPServer.SealKeys(keyLines(names))
        try await Served.run(
            {
                $0.sealKeys = keys
                $0.requireSeal = requires
                configure(&$0)
            }, prepare: prepare, get: get, put: put
        ) { served in
            try await body(SealedPair(served: served))
        }
    }

    func options(
        _ names: String..., blksize: UInt16 = 1468, windowsize: UInt16 = 16,
        patience: Duration = .seconds(20)
    ) throws -> TFTPClient.Options {
        var options = TFTPClient.Options(
            blksize: blksize, windowsize: windowsize, patience: patience)
        options.sealKeys = try TFTPClient.SealKeys(keyLines(names.isEmpty ? ["k1"] : names))
        return options
    }
}

/// Lines of a key file. Each name is a key of its own; `ID/n` is another key under the same ID.
func keyLines(_ names: [String]) -> String {
    names.map { name in
        let secret = content(32, seed: UInt64(name.utf8.reduce(7) { $0 * 31 + Int($1) }))
        return "\(name.prefix { $0 != "/" }) \(Data(secret).base64EncodedString())\n"
    }.joined()
}
