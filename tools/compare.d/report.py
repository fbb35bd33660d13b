"""The table, the figures and the picture."""

import json
import statistics
from html import escape

FIGURES = [
    "cpuSeconds",
    "cpuSecondsPerGB",
    "cpuMicrosecondsPerTransfer",
    "megabytesPerSecond",
    "transfersPerSecond",
    "p99Seconds",
    "failed",
    "unfinished",
    "peakMemoryBytes",
    "foreignShare",
]

COLUMNS = [
    "scenario",
    "server",
    "CPU s/GB",
    "× bootstorm",
    "CPU µs/transfer",
    "MB/s",
    "transfers/s",
    "p99 turn-around ms",
    "failed",
    "unfinished",
    "peak MiB",
]


def medians(rounds):
    """The median of each figure over the rounds that have it."""
    result = {}
    for figure in FIGURES:
        values = [each[figure] for each in rounds if each.get(figure) is not None]
        result[figure] = statistics.median(values) if values else None
    return result


def number(value, digits=3):
    """So many digits that mean something, and no more zeros than needed."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    text = f"{value:.{digits}g}"
    return f"{float(text):.{digits}f}" if "e" in text else text


def ratio(result, reference, key="cpuSecondsPerGB"):
    ours = reference and reference.get(key)
    theirs = result.get(key)
    return theirs / ours if ours and theirs is not None else None


class Report:
    def __init__(self, about, scenarios, servers):
        self.about = about
        self.scenarios = scenarios
        self.servers = servers
        # (scenario, server): {"rounds": [...], "median": {...}} or {"note": "no windows"}.
        self.results = {}

    def result(self, scenario, server):
        return self.results.setdefault((scenario.name, server), {"rounds": [], "notes": []})

    def median(self, scenario, server):
        return medians(self.result(scenario, server)["rounds"])

    def write(self, folder):
        files = {
            "compare.md": self.markdown(),
            "compare.json": self.json(),
            "compare.svg": Picture(self).svg(),
        }
        for name, text in files.items():
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write(text)

    def json(self):
        results = []
        for scenario in self.scenarios:
            for server in self.servers:
                entry = self.result(scenario, server)
                median = medians(entry["rounds"])
                results.append(
                    {
                        "scenario": scenario.name,
                        "server": server,
                        "median": median,
                        "cpuPerGBOverBootstorm": ratio(median, self.median(scenario, "bootstorm")),
                        "notes": entry["notes"],
                        "rounds": entry["rounds"],
                    }
                )
        scenarios = [vars(scenario) for scenario in self.scenarios]
        whole = {"about": self.about, "scenarios": scenarios, "results": results}
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"

    def markdown(self):
        lines = ["# Bootstorm and other TFTP servers", ""]
        lines += self.table_of_circumstances()
        lines += ["", "| " + " | ".join(COLUMNS) + " |", "| " + " | ".join(alignments()) + " |"]
        for scenario in self.scenarios:
            lines += [self.row(scenario, server) for server in self.servers]
        lines += ["", *self.remarks()]
        return "\n".join(lines) + "\n"

    def table_of_circumstances(self):
        lines = ["| | |", "| --- | --- |"]
        lines += [f"| {key} | {value} |" for key, value in self.about["shown"].items()]
        return lines

    def row(self, scenario, server):
        entry = self.result(scenario, server)
        median = medians(entry["rounds"])
        head = [scenario.name, server]
        if not entry["rounds"]:
            note = entry["notes"][0] if entry["notes"] else "not measured"
            return "| " + " | ".join([*head, note, *[""] * (len(COLUMNS) - 3)]) + " |"
        over = ratio(median, self.median(scenario, "bootstorm"))
        p99 = median["p99Seconds"]
        cells = [
            number(median["cpuSecondsPerGB"]),
            number(over),
            number(median["cpuMicrosecondsPerTransfer"]),
            number(median["megabytesPerSecond"]),
            number(median["transfersPerSecond"]),
            number(p99 and p99 * 1000),
            share(median["failed"], scenario.transfers),
            share(median["unfinished"], scenario.transfers),
            number(median["peakMemoryBytes"] / (1 << 20)),
        ]
        return "| " + " | ".join([*head, *cells]) + " |"

    def remarks(self):
        lines = [
            "Medians over the rounds. CPU is the server's, user and system, with its children. "
            "GB is 10^9 bytes. A transfer is unfinished when the time for the run was up before it "
            "ended; CPU per transfer is left out where that makes it mean little.",
            "",
        ]
        lines += [
            f"- {scenario.name}: {scenario.describe()}; {scenario.limit_seconds:g} s at most"
            for scenario in self.scenarios
        ]
        lines += ["", "How each was started:", ""]
        lines += [f"    {command}" for command in self.about["commands"].values()]
        notes = [*self.about["notes"], *self.notes_of_results()]
        if notes:
            lines += ["", "Notes:", "", *[f"- {note}" for note in notes]]
        return lines

    def notes_of_results(self):
        shares = [
            each["foreignShare"] for entry in self.results.values() for each in entry["rounds"]
        ]
        disturbed = [share for share in shares if share > 0.05]
        if disturbed:
            yield (
                f"Other processes used more than 5 % of the two cores in {len(disturbed)} of "
                f"{len(shares)} runs, {max(shares) * 100:.0f} % at most. Speeds suffer from "
                "that, and so does CPU per GB where a server gathers work: repeat it on a machine "
                "that does nothing else."
            )
        for (scenario, server), entry in self.results.items():
            for note in dict.fromkeys(entry["notes"]):
                if note != "no windows":
                    yield f"{scenario}, {server}: {note}"


def alignments():
    return ["---", "---", *["---:"] * (len(COLUMNS) - 2)]


def share(count, total):
    return "0" if not count else f"{number(count)} ({number(count / total * 100)} %)"


class Picture:
    """Bars of server CPU, a panel a scenario. Each panel has its own scale, from zero."""

    width = 980
    label_width = 110
    bar_width = 520
    bar_height = 18
    gap = 5
    head = 34
    colors = {
        "bootstorm": "#1f6feb",
        "tftpd-hpa": "#8b949e",
        "atftpd": "#b08d57",
        "dnsmasq": "#6b9080",
    }

    def __init__(self, report):
        self.report = report
        self.parts = []

    def svg(self):
        y = 16
        self.text(16, y + 12, "Server CPU: shorter is better", 18, "bold")
        y += 34
        self.text(16, y, self.report.about["summary"], 12, color="#57606a")
        y += 22
        for scenario in self.report.scenarios:
            y = self.panel(scenario, y)
        size = f'width="{self.width}" height="{y}" viewBox="0 0 {self.width} {y}"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">',
                f'<rect width="{self.width}" height="{y}" fill="#ffffff"/>',
                *self.parts,
                "</svg>\n",
            ]
        )

    def panel(self, scenario, y):
        key = "cpuMicrosecondsPerTransfer" if scenario.shows_transfers else "cpuSecondsPerGB"
        unit = "µs a transfer" if scenario.shows_transfers else "s/GB"
        medians_by_server = {
            server: self.report.median(scenario, server) for server in self.report.servers
        }
        longest = max((each[key] or 0 for each in medians_by_server.values()), default=0)
        self.text(16, y + 16, f"{scenario.name}: {scenario.describe()}", 13, "bold")
        y += self.head - 8
        for server, median in medians_by_server.items():
            self.text(16 + self.label_width - 8, y + 13, server, 12, anchor="end")
            self.bar(y, server, median[key], longest)
            label = self.label(scenario, server, median, key, unit)
            length = (median[key] or 0) / longest * self.bar_width if longest else 0
            self.text(16 + self.label_width + length + 6, y + 13, label, 12)
            y += self.bar_height + self.gap
        return y + 12

    def bar(self, y, server, value, longest):
        if not value:
            return
        length = value / longest * self.bar_width
        color = self.colors.get(server, "#999999")
        self.parts.append(
            f'<rect x="{16 + self.label_width}" y="{y}" width="{length:.1f}" '
            f'height="{self.bar_height}" fill="{color}"/>'
        )

    def label(self, scenario, server, median, key, unit):
        entry = self.report.result(scenario, server)
        if median[key] is None:
            return entry["notes"][0] if entry["notes"] else "nothing served"
        text = f"{number(median[key])} {unit}"
        over = ratio(median, self.report.median(scenario, "bootstorm"), key)
        if over and server != "bootstorm":
            text += f" ({number(over, 2)} ×)"
        for what in ("failed", "unfinished"):
            if median[what]:
                text += f", {number(median[what] / scenario.transfers * 100, 2)} % {what}"
        return text

    def text(self, x, y, text, size, weight="normal", anchor="start", color="#1f2328"):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y}" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}" fill="{color}">{escape(text)}</text>'
        )
