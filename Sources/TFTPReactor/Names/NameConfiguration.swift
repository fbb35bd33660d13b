package import TFTPNames

/// A template that rules have chosen, and what it is filled with.
package struct NameTemplate: Equatable, Sendable {
    package let path: String
    package let variables: [String: String]
}

/// Which files names mean, in addition to those of the same name in the root.
package struct NameConfiguration: Sendable {
    package var plan = NamePlan()
    /// Roots that are searched behind the first one, in order.
    package var otherRoots: [String] = []
    /// Folders that symbolic links may lead out to.
    package var followed: [String] = []
    package var hosts = HostTable.empty

    package init() {}

    /// Opens the folders, and says which of them the plan means.
    ///
    /// - Parameter root: path of the first root, whose number is 0.
    func settled(root: String, _ trees: inout NameTrees) throws(StartError) -> NamePlan {
        var plan = plan
        var ruleRoots: [String] = []
        if case .rules(let rules) = plan.map { ruleRoots = rules.roots.filter { $0 != root } }
        let numbers = try trees.open(otherRoots + ruleRoots + followed)
        plan.searchedRoots = [0] + numbers.prefix(otherRoots.count)
        plan.ruleRoots = [root: 0]
        for (path, number) in zip(ruleRoots, numbers.dropFirst(otherRoots.count)) {
            plan.ruleRoots[path] = number
        }
        return plan
    }
}

extension NameConfiguration {
    /// Whether a name can mean anything but itself in the first root.
    package var isActive: Bool { plan.isActive || !otherRoots.isEmpty }

    /// Every folder other than the first root that names may lead to.
    package var readPaths: [String] {
        var paths = otherRoots + followed
        if case .rules(let rules) = plan.map { paths += rules.roots }
        return paths
    }
}
