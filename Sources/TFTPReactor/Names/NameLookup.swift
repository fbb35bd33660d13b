internal import CLinux
internal import TFTPNames
internal import TFTPStore

/// Finds out what a name means: runs the rules and looks for the files, on the resolver's thread.
struct NameLookup {
    let names: NameSet
    /// What is known of folders, from one question to the next.
    let listings: FoldedListings

    private var plan: NamePlan { names.plan }
    private var trees: NameTrees { names.trees }

    func answer(
        _ question: NameResolver.Question, _ clients: inout NameClients
    ) -> NameResolver.Answer {
        var request = question.request
        let dependencies = plan.dependencies
        if dependencies.contains(.host) || names.hosts.count > 0 {
            clients.complete(&request, names.hosts, now: clinux_now())
        }
        var meanings: [NameWalk.Place] = []
        let outcome = outcome(request, question.upload, &meanings)
        let mapped = meanings.first?.name
        if !dependencies.isDisjoint(with: [.host, .files, .server]) { meanings = [] }
        return NameResolver.Answer(
            question: question, outcome: outcome, meanings: meanings, mapped: mapped,
            generation: names.word.generation)
    }

    /// Decides on each name that the request may have meant, until a file is found or a rule
    /// refuses.
    private func outcome(
        _ request: NameRequest, _ upload: NameResolver.Upload?,
        _ meanings: inout [NameWalk.Place]
    ) -> NameResolver.Outcome {
        if plan.refusesGoingUp(request.name) { return .refused(.forbidden) }
        var worst = NameResolver.Outcome.refused(.notFound)
        let path = trees.path(of: 0, before: request.name)
        var upload = upload.map { _ in UploadCandidates() }
        let spellings = plan.spellings(
            of: request.name, rootPath: path, forUpload: upload != nil)
        for (number, spelling) in spellings.enumerated() {
            var request = request
            request.name = spelling
            switch plan.decide(request, exists: { self.exists($0) }) {
            case .template(let path, let variables):
                return .made(NameTemplate(path: path, variables: variables))
            case .refused(let refusal): return .refusedByRule(refusal)
            case .files(let candidates):
                if let refusal = refusalBehindPath(request, path) { return .refusedByRule(refusal) }
                if number == 0 && upload == nil { meanings = self.meanings(candidates) }
                upload?.latest = (candidates, request)
                let outcome = upload == nil ? find(candidates) : findWritten(candidates)
                guard case .refused(let failure) = outcome else {
                    if number > 0 { meanings = [] }
                    return refusalOfOtherCase(outcome, candidates, request) ?? outcome
                }
                if failure != .notFound { worst = outcome }
            }
        }
        guard case .refused(let failure) = worst, let (candidates, request) = upload?.latest,
            // A link may lead to a folder of the root, and the name to nothing in there.
            failure == .notFound || failure == .outside
        else { return worst }
        let outcome = target(candidates)
        return refusalOfOtherCase(outcome, candidates, request) ?? outcome
    }

    /// What an upload may become where no file has its name.
    private struct UploadCandidates {
        /// Of the last spelling: the one without the root's own path.
        var latest: (candidates: [NameCandidate], request: NameRequest)?
    }

    /// Where files of the candidates can be, in order; empty where only looking tells.
    private func meanings(_ candidates: [NameCandidate]) -> [NameWalk.Place] {
        guard !plan.isAnyCase else { return [] }
        let hasSubstitutes = candidates.contains(where: \.isSubstitute)
        var places: [NameWalk.Place] = []
        for candidate in candidates {
            for root in roots(of: candidate) {
                let names = plan.names(
                    of: candidate, rootPath: trees.path(of: root, before: candidate.name))
                // A folder by its spelling, which decides on the substitutes.
                if names.isEmpty && hasSubstitutes && !candidate.isSubstitute { return [] }
                places += names.map { NameWalk.Place(tree: root, name: $0) }
            }
        }
        return places
    }

    private func roots(of candidate: NameCandidate) -> [Int] {
        candidate.root.map { [$0] } ?? plan.searchedRoots
    }

    /// A rule that refuses the name of the file refuses it in any case of its letters.
    private func refusalOfOtherCase(
        _ outcome: NameResolver.Outcome, _ candidates: [NameCandidate], _ request: NameRequest
    ) -> NameResolver.Outcome? {
        guard plan.isAnyCase, case .place(let place) = outcome else { return nil }
        let found = place.name.byteArray
        let isOtherCase = candidates.contains {
            $0.name != found && $0.name.map(\.lowercased) == found.map(\.lowercased)
        }
        guard isOtherCase else { return nil }
        var request = request
        request.name = found
        guard case .refused(let refusal) = plan.decide(request, exists: { self.exists($0) }) else {
            return nil
        }
        return .refusedByRule(refusal)
    }

    /// A map file may be written for names with the root's path in front or without; a name that
    /// has it must not get past a rule that refuses the rest of it.
    private func refusalBehindPath(_ request: NameRequest, _ path: String) -> NameRefusal? {
        guard plan.isLiteral, let name = try? FileName(literal: unsafe request.name.span.bytes),
            let inner = name.dropping(prefix: path)
        else { return nil }
        for slash in [[], [UInt8(ascii: "/")]] {
            var behind = request
            behind.name = slash + inner.byteArray
            if case .refused(let refusal) = plan.decide(behind, exists: { self.exists($0) }) {
                return refusal
            }
        }
        return nil
    }

    // MARK: Looking

    private func exists(_ name: [UInt8]) -> Bool {
        if case .place = find([NameCandidate(name: name)]) { return true }
        return false
    }

    /// The first file that exists.
    private func find(_ candidates: [NameCandidate]) -> NameResolver.Outcome {
        find(candidates) { roots(of: $0) }
    }

    private func find(
        _ candidates: [NameCandidate], in roots: (NameCandidate) -> [Int]
    ) -> NameResolver.Outcome {
        var worst = NameWalk.Failure.notFound
        for candidate in candidates {
            if candidate.isSubstitute && hasFolder(candidates) { return .refused(.notRegular) }
            for root in roots(candidate) {
                for name in plan.names(
                    of: candidate, rootPath: trees.path(of: root, before: candidate.name))
                {
                    do throws(NameWalk.Failure) {
                        return .place(try walk(root, name))
                    } catch {
                        if error != .notFound { worst = error }
                    }
                }
            }
        }
        return .refused(StoreFailure(worst))
    }

    /// Whether a candidate that is no substitute is a folder, in any of its spellings.
    private func hasFolder(_ candidates: [NameCandidate]) -> Bool {
        candidates.lazy.filter { !$0.isSubstitute }.contains { candidate in
            roots(of: candidate).contains { isFolder($0, candidate.name) }
        }
    }

    private func isFolder(_ root: Int, _ bytes: [UInt8]) -> Bool {
        let name: FileName
        do throws(NameError) {
            name = try FileName(literal: unsafe bytes.span.bytes)
        } catch {
            // Slashes and dots, which mean the root.
            return error == .empty
        }
        do throws(NameWalk.Failure) {
            _ = try walk(root, name)
            return false
        } catch {
            return error == .notRegular
        }
    }

    private func walk(
        _ root: Int, _ name: FileName
    ) throws(NameWalk.Failure) -> NameWalk.Place {
        // Most names lead there without help.
        if look(root, name) { return NameWalk.Place(tree: root, name: name) }
        var walk = NameWalk(
            trees, from: root, name, anyCase: plan.isAnyCase ? listings : nil,
            staysInside: plan.isLiteral)
        return try walk.run()
    }

    private func walkUp(
        _ root: Int, _ name: FileName
    ) throws(NameWalk.Failure) -> NameWalk.Place {
        var walk = NameWalk(trees, from: root, name, anyCase: nil, staysInside: true)
        return try walk.run()
    }

    private func look(_ root: Int, _ name: FileName) -> Bool {
        let descriptor = unsafe name.withUnsafeCString { path in
            unsafe clinux_open_beneath(
                trees.directory(of: root), path, clinux_flags_path(), 0,
                UInt64(CLINUX_RESOLVE_BENEATH))
        }
        guard descriptor >= 0 else { return false }
        defer { clinux_close(descriptor) }
        var status = clinux_status()
        return unsafe clinux_status_of(descriptor, &status) == 0 && status.is_regular
    }

}

// MARK: Uploads

extension NameLookup {
    /// The file that an upload replaces: the one that a reader of the name gets. Uploads go into
    /// the first root, or that of a rule, so files of the others do not count.
    private func findWritten(_ candidates: [NameCandidate]) -> NameResolver.Outcome {
        // A pattern file of atftpd decides on the name alone.
        if candidates.contains(where: \.isSubstitute) { return .refused(.notFound) }
        let outcome = find(candidates) { $0.root.map { [$0] } ?? [0] }
        guard case .place(let place) = outcome, !place.name.isWritable else { return outcome }
        return place.name.goesUp ? .refused(.notFound) : .refused(.forbidden)
    }

    /// Where an upload goes that replaces no file: the last name, in its root or the first one.
    private func target(_ candidates: [NameCandidate]) -> NameResolver.Outcome {
        guard let candidate = candidates.last else { return .refused(.forbidden) }
        let root = candidate.root ?? 0
        let names = plan.names(
            of: candidate, rootPath: trees.path(of: root, before: candidate.name))
        guard let name = names.last else { return .refused(.forbidden) }
        if name.isWritable { return newFile(root, name) }
        // With a map file of another server, a name with `..` is a file that exists within the
        // root, as for a server that has changed its root.
        guard plan.isLiteral, name.goesUp, let place = try? walkUp(root, name),
            place.name.isWritable
        else { return .refused(.forbidden) }
        return .place(place)
    }

    /// Where a new file of that name is: links are followed, and a link that leads to no file says
    /// where the file would be.
    private func newFile(_ root: Int, _ name: FileName) -> NameResolver.Outcome {
        var walk = NameWalk(
            trees, from: root, name, anyCase: plan.isAnyCase ? listings : nil,
            staysInside: plan.isLiteral, findsNew: true)
        do throws(NameWalk.Failure) {
            let place = try walk.run()
            return place.name.isWritable ? .place(place) : .refused(.forbidden)
        } catch {
            return .refused(StoreFailure(error))
        }
    }
}
