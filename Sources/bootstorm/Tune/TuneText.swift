internal import TFTPLoad

/// The result of a sweep as text.
struct TuneText {
    private let findings: TuneFindings
    private let tune: Tune
    private let loads: [TuneJudge]
    private let compromise: TuneCompromise?

    init(_ findings: TuneFindings, _ tune: Tune) {
        self.findings = findings
        self.tune = tune
        loads = findings.judges
        compromise = TuneCompromise(loads)
    }

    var lines: [String] {
        var lines = headLines
        for load in loads where !load.scores.isEmpty { lines += [""] + tableLines(load) }
        lines += [""] + loads.flatMap(verdictLines) + compromiseLines
        lines += verifiedLines + loads.flatMap(harmLines) + fragmentLines + timeoutLines + noteLines
        guard let setting = findings.pasted else { return lines }
        lines += loads.compactMap { priceLine(of: setting, $0) }
        let title = "to paste, for \(setting.text)"
        return lines + ["", title] + TuneLines(setting: setting).text.map { "  " + $0 }
    }

    // MARK: What was asked

    private var headLines: [String] {
        var path = "MTU \(findings.path.mtu): a blksize up to \(findings.path.blksizeFitting) fits"
        path += ", round trip \(decimal(findings.plan.roundTripSeconds * 1000, 2)) ms"
        var lines = [titled("server", tune.serverText), titled("path", path)]
        if let impair = tune.impair { lines.append(titled("impairment", impair.text)) }
        let count = findings.trialCount
        let ended = findings.wasInterrupted ? " (interrupted)" : ""
        return lines + grantLines + [titled("trials", "\(count)\(ended)")]
    }

    private var grantLines: [String] {
        var lines: [String] = []
        if !findings.knowsWindows {
            lines.append(
                titled(
                    "windows",
                    "not known to this server, or it grants 1 at most: only blksize is tried"))
        } else if findings.granted.windowsize < findings.asked.windowsize {
            lines.append(
                titled("windows", "the server grants \(findings.granted.windowsize) at most"))
        }
        if findings.granted.blksize < findings.asked.blksize {
            lines.append(titled("blksize", "the server grants \(findings.granted.blksize) at most"))
        }
        return lines
    }

    // MARK: Tables

    private func tableLines(_ load: TuneJudge) -> [String] {
        let share = decimal(load.repeatShareMax * 100, 0)
        let fragments = findings.plan.grid.blksizes.contains { isFragmented($0) }
        let title =
            "MB/s, \(load.name); \(fragments ? "* fragments, " : "")! more than \(share) % sent again"
        let head =
            padded("blksize", 9)
            + findings.plan.grid.windowsizes.map { cell("w \($0)", "") }.joined()
        return [title, head] + findings.plan.grid.blksizes.map { row($0, load) }
    }

    private func row(_ blksize: Int, _ load: TuneJudge) -> String {
        let mark = isFragmented(blksize) ? "*" : ""
        let cells = findings.plan.grid.windowsizes.map { windowsize in
            let setting = TuneSetting(blksize: blksize, windowsize: windowsize)
            guard let score = load.score(setting) else { return cell("-", "") }
            return cell(megabytes(score.goodput), load.isClean(score) ? "" : "!")
        }
        return padded("\(blksize)\(mark)", 9) + cells.joined()
    }

    private func isFragmented(_ blksize: Int) -> Bool {
        findings.path.packetCount(blksize: blksize) > 1
    }

    private func cell(_ value: String, _ mark: String) -> String {
        padded(value, 7, left: true) + padded(mark, 1)
    }

    // MARK: Verdicts

    private func verdictLines(_ load: TuneJudge) -> [String] {
        guard let best = load.best else { return [] }
        var text = "\(best.setting.text): \(megabytes(best.goodput)) MB/s"
        text += best.trialCount > 1 ? " ± \(decimal(best.spread * 100, 0)) %" : ""
        if let basic = load.basic, basic.goodput > 0 {
            text += ", \(decimal(best.goodput / basic.goodput, 1)) times the default "
            text += "(512/1: \(megabytes(basic.goodput)))"
        }
        return [titled(load.name, text)]
    }

    private var compromiseLines: [String] {
        guard let compromise, loads.count > 1 else { return [] }
        let share = decimal(compromise.shareMin * 100, 0)
        let text = "\(compromise.setting.text): at least \(share) % of the best of each"
        return [titled("for both", text)]
    }

    private var verifiedLines: [String] {
        guard let (before, after) = findings.verified else { return [] }
        var text = "\(after.setting.text): \(megabytes(after.goodput)) MB/s, "
        text += "the default \(megabytes(before.goodput)), \(after.clientCount) at once"
        if before.goodput > 0 {
            text += ": \(decimal(after.goodput / before.goodput, 1)) times"
        }
        return [titled("verified", text)]
    }

    private func harmLines(_ load: TuneJudge) -> [String] {
        let harmful = load.harmfulWindows
        guard let best = load.best, let first = harmful.first else { return [] }
        let worst = harmful.min { $0.goodput < $1.goodput } ?? first
        var text = "windowsize \(first.setting.windowsize)"
        text += harmful.count > 1 ? " and more" : ""
        text += ", \(load.name): \(megabytes(worst.goodput)) MB/s with \(worst.setting.windowsize)"
        text += " (\(signedPercent(worst.goodput / best.goodput - 1)))"
        return [titled("harmful", text + cause(of: worst, load))]
    }

    private func cause(of harmful: TuneScore, _ load: TuneJudge) -> String {
        if harmful.failureCount > 0 { return ", \(harmful.failureCount) transfers failed" }
        guard !load.isClean(harmful) else { return "" }
        let cause =
            load.isLossy ? "each loss costs much of a window" : "a queue on the way is shorter"
        return ", \(decimal(harmful.repeatShare * 100, 0)) % sent again: \(cause)"
    }

    /// What the recommended setting costs a load that another one would suit better.
    private func priceLine(of setting: TuneSetting, _ load: TuneJudge) -> String? {
        guard let price = load.price(of: setting), let best = load.best else { return nil }
        var text = "\(setting.text), \(load.name): \(signedPercent(price.goodputChange)) against "
        text += best.setting.text
        if price.repeatShare > load.repeatShareMax {
            text += ", \(decimal(price.repeatShare * 100, 0)) % sent again"
        }
        if price.failureCount > 0 { text += ", \(price.failureCount) transfers failed" }
        return titled("price", text)
    }

    private var fragmentLines: [String] {
        let large = findings.plan.grid.blksizes.filter(isFragmented)
        guard let least = large.first, let most = large.last else { return [] }
        var text = "blksize \(least)\(most > least ? " and more" : ""): \(fragments(least, most)); "
        text += "one lost loses the block, and many boot ROMs and firewalls pass none"
        let gains = loads.compactMap { load -> String? in
            guard let best = load.best, let score = load.bestFragmenting else { return nil }
            let change = signedPercent(score.goodput / best.goodput - 1)
            return "\(load.name) \(change) (\(score.setting.blksize)/\(score.setting.windowsize))"
        }
        return [titled("harmful", text)]
            + (gains.isEmpty
                ? [] : [titled("", "the best of them: " + gains.joined(separator: ", "))])
    }

    private func fragments(_ least: Int, _ most: Int) -> String {
        let counts = [least, most].map { findings.path.packetCount(blksize: $0) }
        let range = counts[0] == counts[1] ? "\(counts[0])" : "\(counts[0]) to \(counts[1])"
        return "\(range) fragments at MTU \(findings.path.mtu)"
    }

    private var timeoutLines: [String] {
        let scores = findings.timeoutScores
        guard !scores.isEmpty else { return [] }
        let parts = scores.map { score in
            let asked = score.setting.timeout.map { "\($0) s" } ?? "left out"
            return "\(asked) \(megabytes(score.goodput)) MB/s"
        }
        let advice = findings.betterTimeout.map { "ask for \($0)" } ?? "leave it out"
        return [titled("timeout", "\(advice): \(parts.joined(separator: ", "))")]
    }

    private var noteLines: [String] {
        var lines: [String] = []
        if let pasted = findings.pasted, pasted != compromise?.setting {
            lines.append(
                titled(
                    "note",
                    "this is loopback. On an Ethernet of MTU 1500 a blksize above 1468 fragments: "
                        + "there take \(pasted.text)"))
        }
        if loads.contains(where: \.isUncertain) {
            lines.append(
                titled("note", "few trials, or they differ much: give it more --seconds"))
        }
        if let count = findings.fileByteCountMax, count < TuneText.smallFileByteCount {
            lines.append(
                titled(
                    "note", "the file has \(count) bytes: name one of some MB to tell windows apart"
                )
            )
        }
        return lines
    }

    private static let smallFileByteCount = 500_000

    private func titled(_ title: String, _ text: String) -> String { padded(title, 15) + text }

    private func signedPercent(_ share: Double) -> String {
        "\(share > 0 ? "+" : "")\(decimal(share * 100, 0)) %"
    }
}

extension TuneFindings {
    /// The setting for machines that boot. Machines do not boot over the loopback network, so there
    /// it is the setting that fits an Ethernet.
    var pasted: TuneSetting? {
        TuneCompromise(isLoopback ? judges(on: .ethernet) : judges)?.setting
    }

    private var isLoopback: Bool { path.mtu >= TuneFindings.loopbackMTU }

    /// No other network has one so large.
    private static let loopbackMTU = 65_535
}

extension TuneJudge {
    var name: String { clientCount == 1 ? "one client" : "\(clientCount) at once" }
}

extension TuneSetting {
    var text: String { "blksize \(blksize) windowsize \(windowsize)" }
}

/// Bytes a second as MB/s, with three digits or so.
func megabytes(_ goodput: Double) -> String {
    let value = goodput / 1e6
    return decimal(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0)
}
