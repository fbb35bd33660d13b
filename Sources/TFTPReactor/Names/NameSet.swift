internal import TFTPNames

/// What names mean, from one reload to the next: rules, look-up options, hosts and folders.
final class NameSet: Sendable {
    let plan: NamePlan
    let hosts: HostTable
    let trees: NameTrees
    /// What shards have to know.
    let word: NameWord

    init(plan: NamePlan, hosts: HostTable, trees: NameTrees, generation: UInt32) {
        self.plan = plan
        self.hosts = hosts
        self.trees = trees
        word = NameWord(
            generation: generation, isActive: plan.isActive, isLiteral: plan.isLiteral,
            dependencies: plan.dependencies)
    }

    /// Opens the folders of a configuration.
    ///
    /// - Parameter trees: those that were open before.
    convenience init(
        _ configuration: NameConfiguration, root: String, trees: NameTrees, generation: UInt32
    ) throws(StartError) {
        var trees = trees
        let plan = try configuration.settled(root: root, &trees)
        self.init(plan: plan, hosts: configuration.hosts, trees: trees, generation: generation)
    }
}

/// What shards have to know of a `NameSet`, in one word that they read once a turn.
struct NameWord: Equatable, BitwiseCopyable, Sendable {
    let rawValue: UInt64

    init(rawValue: UInt64) { self.rawValue = rawValue }

    init(generation: UInt32, isActive: Bool, isLiteral: Bool, dependencies: NameDependencies) {
        rawValue =
            UInt64(generation) << 4 | (isActive ? 1 : 0) | (isLiteral ? 2 : 0)
            | (dependencies.contains(.client) ? 4 : 0) | (dependencies.contains(.kind) ? 8 : 0)
    }

    /// Counts reloads, from 1 on.
    var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 4) }
    /// Whether names can mean anything but themselves.
    var isActive: Bool { rawValue & 1 != 0 }
    /// Whether the rules are to see names as they came.
    var isLiteral: Bool { rawValue & 2 != 0 }
    /// Whether the client's address may change what a name means.
    var dependsOnClient: Bool { rawValue & 4 != 0 }
    /// Whether the client's kind may change what a name means.
    var dependsOnKind: Bool { rawValue & 8 != 0 }
}
