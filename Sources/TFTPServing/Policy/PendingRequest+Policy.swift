package import TFTPCore
package import TFTPStore
internal import TFTPWire

/// One name has many spellings, and a folder's policy holds for all of them: it is chosen for the
/// name that is looked up in the end.
extension PendingRequest {
    /// Takes the policy of the name that the request has turned out to mean.
    ///
    /// - Returns: false where that refuses the request.
    package mutating func adoptPolicy(
        from table: PolicyTable, of client: Address, name: FileName
    ) -> Bool {
        guard table.dependsOnFolder else { return true }
        return adopt(table.policy(of: client, kind: kind, name: name.bytes))
    }

    mutating func adopt(_ policy: RequestPolicy) -> Bool {
        guard isSealed || !policy.requiresSeal else { return false }
        guard opcode == .wrq ? policy.upload != .deny : policy.allowsRead else { return false }
        self.policy = policy
        options.remove(policy.refused)
        return true
    }
}
