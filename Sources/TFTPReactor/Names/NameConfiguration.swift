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

    /// All roots but the first, and a plan that knows where rules find theirs.
    func settled(root: String) -> (plan: NamePlan, roots: [String]) {
        var plan = plan
        var roots = otherRoots
        plan.searchedRootCount = 1 + roots.count
        guard case .rules(let rules) = plan.map else { return (plan, roots) }
        for path in rules.roots {
            if path == root {
                plan.ruleRoots[path] = 0
            } else if let index = roots.firstIndex(of: path) {
                plan.ruleRoots[path] = index + 1
            } else {
                roots.append(path)
                plan.ruleRoots[path] = roots.count
            }
        }
        return (plan, roots)
    }
}

extension NameConfiguration {
    /// Every folder other than the first root that names may lead to.
    package var readPaths: [String] {
        var paths = otherRoots + followed
        if case .rules(let rules) = plan.map { paths += rules.roots }
        return paths
    }
}
