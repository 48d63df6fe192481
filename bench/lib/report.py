"""Rows of figures: a table on the terminal and the published section of bench/README.md."""
import datetime
import re
import statistics

BEGIN, END = "<!-- figures: written by bench/run -->", "<!-- end of figures -->"


class Row:
    """One comparison. ours and theirs: a value a round, in the same unit, taken in turn; the
    ratio is ours / theirs in each round. target: (">=" or "<=", number) of the ratio, with the
    unit behind it of ours in each round, or None."""

    def __init__(self, figure, what, unit, ours, theirs, against, target=None):
        self.figure, self.what, self.unit, self.against = figure, what, unit, against
        self.ours, self.target = statistics.median(ours), target
        self.theirs = statistics.median(theirs) if theirs else None
        self.ratios = sorted(a / b for a, b in zip(ours, theirs)) if theirs else []
        self.all_ours = ours

    def ratio(self):
        if not self.ratios:
            return "-"
        middle = statistics.median(self.ratios)
        text = "%.3g" % middle if middle < 100 else "%.0f" % middle
        if len(self.ratios) == 1:
            return text
        return "%s (%.3g to %.3g)" % (text, self.ratios[0], self.ratios[-1])

    def verdict(self):
        if not self.target:
            return "-"
        sign, limit, *unit = self.target
        values = self.all_ours if unit else [statistics.median(self.ratios)]
        met = min(values) >= limit if sign == ">=" else max(values) <= limit
        return "%s: %s" % (" ".join([sign, "%g" % limit] + unit), "met" if met else "missed")

    def cells(self):
        theirs = "-" if self.theirs is None else "%s: %s" % (self.against, number(self.theirs))
        return [self.what, "%s %s" % (number(self.ours), self.unit), theirs, self.ratio(),
                self.verdict()]


def number(v):
    if v >= 1000:
        return "{:,.0f}".format(v)
    return "%.3g" % v


HEAD = ["what", "muster", "against", "ratio (spread)", "target"]


def terminal(rows):
    figure = None
    for row in rows:
        if row.figure != figure:
            figure = row.figure
            print("\n" + figure)
        what, ours, theirs, ratio, verdict = row.cells()
        print("  %-52s %22s   %-44s %-26s %s" % (what, ours, theirs, ratio, verdict))


def markdown(rows, machine):
    out = ["%s. Taken on %s." % (machine, datetime.date.today().isoformat()), ""]
    for figure in dict.fromkeys(r.figure for r in rows):
        out += ["### " + figure, "", "| %s |" % " | ".join(HEAD), "|%s" % ("---|" * len(HEAD))]
        out += ["| %s |" % " | ".join(r.cells()) for r in rows if r.figure == figure]
        out += [""]
    return "\n".join(out)


def publish(path, rows, machine):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    section = "%s\n%s\n%s" % (BEGIN, markdown(rows, machine), END)
    new, n = re.subn(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: section, text, flags=re.S)
    if n != 1:
        raise SystemExit("bench/run: %s: the marks of the figures' section are missing" % path)
    with open(path, "w", encoding="utf-8") as f:
        f.write(new)
