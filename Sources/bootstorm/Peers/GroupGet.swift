internal import ArgumentParser
internal import Logging
internal import Synchronization
internal import SystemPackage
internal import TFTPClient
internal import TFTPPeer

/// `bootstorm get --peers`: a file from all nodes that have it.
struct GroupGet {
    let trust: [PeerNode.TrustedKey]
    let sealKeys: TFTPClient.SealKeys?
    let isQuiet: Bool

    /// Gets one file from the node that is named and those that it knows. Returns an exit code.
    func get(_ file: RemoteFile, to path: FilePath?) async -> Int32 {
        do {
            let started = ContinuousClock.now
            let fetched = try await fetch(file, to: path)
            let seconds = max((ContinuousClock.now - started) / .seconds(1), 1e-9)
            let rate = decimal(Double(fetched.byteCount) / seconds / 1e6, 1)
            guard !isQuiet else { return 0 }
            StandardError.write(
                "\(file.name): \(fetched.byteCount) bytes in \(decimal(seconds, 3)) s, \(rate) MB/s, "
                    + "\(fetched.isVerified ? "verified" : "not verified"), "
                    + "from \(fetched.sourceCount) node\(fetched.sourceCount == 1 ? "" : "s")\n")
            return 0
        } catch {
            StandardError.write("bootstorm: \(file.name): \(error)\n")
            return code(error)
        }
    }

    private func fetch(_ file: RemoteFile, to path: FilePath?) async throws -> PeerNode.Fetched {
        var configuration = PeerNode.Configuration(root: nil)
        configuration.peers = [try file.server]
        configuration.trustedKeys = trust
        configuration.sealKeys = sealKeys
        configuration.patience = .seconds(2)
        let node = try PeerNode(configuration, logger: Logger(label: "bootstorm"))
        await node.learnPeers()
        let output = try path.map { path throws(TFTPClient.Failure) in try NewFile(at: path) }
        let target = output ?? NewFile(descriptor: .standardOutput)
        let fetched = try await node.get(file.name) { bytes in
            try unsafe bytes.withUnsafeBytes { try unsafe target.write($0) }
        }
        try target.commit()
        return fetched
    }

    private func code(_ error: any Error) -> Int32 {
        guard let failure = error as? PeerNode.GetFailure else { return TransferExit.code(error) }
        switch failure {
        case .notFound: return TransferExit.notFound
        case .unreachable: return TransferExit.unreachable
        case .notSealed: return TransferExit.notSealed
        case .uncertain:
            return trust.isEmpty ? TransferExit.failed : TransferExit.verificationFailed
        }
    }
}
