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


def section(figure, rows, machine):
    """Of one figure: where and when it was taken, its table."""
    out = ["### " + figure, "",
           "%s. Taken on %s." % (machine, datetime.date.today().isoformat()), "",
           "| %s |" % " | ".join(HEAD), "|%s" % ("---|" * len(HEAD))]
    return "\n".join(out + ["| %s |" % " | ".join(r.cells()) for r in rows]) + "\n"


def replaced(published, rows, machine, order):
    """The published sections with those of rows in place of the older ones; order: the
    figures that there are."""
    parts = re.split(r"^(?=### )", published, flags=re.M)[1:]
    sections = {p.splitlines()[0][len("### "):]: p.rstrip("\n") + "\n" for p in parts}
    for figure in dict.fromkeys(r.figure for r in rows):
        sections[figure] = section(figure, [r for r in rows if r.figure == figure], machine)
    return "\n".join(sections[figure] for figure in order if figure in sections)


def publish(path, rows, machine, order):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit("bench/run: %s: the marks of the figures' section are missing" % path)
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    with open(path, "w", encoding="utf-8") as f:
        f.write("%s%s\n%s\n%s%s" % (
            head, BEGIN, replaced(old, rows, machine, order), END, tail))
