"""Judges what the Autobahn suite found against expected.toml, and keeps the table of docs/conformance.md. Runs nothing."""

import pathlib
import re
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parents[2] / "docs" / "conformance.md"
BEGIN, END = "<!-- written by `python3 tests/interop/autobahn --write` -->", "<!-- end of what is written -->"
RESULTS = ["OK", "NON-STRICT", "INFORMATIONAL"]


class Expected:
    """What has to be found: `groups` by number, and the results other than OK by case."""

    def __init__(self, text=None):
        table = tomllib.loads(text or (HERE / "expected.toml").read_text())
        self.groups = {group["number"]: group for group in table["group"]}
        self.other = {one["case"]: one for one in table.get("other", [])}

    def fast(self):
        """The groups that run with every test as a whole."""
        return [number for number, group in self.groups.items() if group["fast"] is True]

    def fast_cases(self):
        """The cases of other groups that do as well."""
        return [case for group in self.groups.values() if isinstance(group["fast"], list) for case in group["fast"]]

    def complaints(self, groups, results, cases=()):
        """What is not as it has to be: whole `groups` and single `cases` ran, and any other cases of `results`."""
        found = [f"case {case}: it did not run" for case in cases if case not in results]
        for number in groups:
            ran, cases = sum(group_of(case) == number for case in results), self.groups[number]["cases"]
            if ran != cases:
                found.append(f"group {number}: {ran} of {cases} cases ran")
        for case, one in results.items():
            wanted = self.other[case]["result"] if case in self.other else "OK"
            if one.behavior != wanted:
                found.append(f"case {case}: {one.behavior}, not {wanted} ({one.more})")
            if one.close not in ("OK", wanted):
                found.append(f"case {case}: its connection ended {one.close} ({one.more})")
        return found


def group_of(case):
    return int(case.split(".")[0])


def rows(results):
    """For each group how many cases ran, and how many of them had each result."""
    table = {}
    for case, one in results.items():
        row = table.setdefault(group_of(case), [0] + [0] * len(RESULTS))
        row[0] += 1
        row[1 + RESULTS.index(one.behavior)] += 1
    return table


def section(expected, version, table):
    """The written part of the page."""
    heads = ["group", "about", "cases", *RESULTS]
    lines = [f"`autobahntestsuite` {version}:", "", f"| {' | '.join(heads)} |", "|---|---|" + "--:|" * (len(heads) - 2)]
    for number, counts in sorted(table.items()):
        lines.append(f"| {number} | {expected.groups[number]['about']} | {' | '.join(map(str, counts))} |")
    total = [sum(column) for column in zip(*table.values())]
    lines.append(f"| all | | {' | '.join(map(str, total))} |")
    lines += ["", "Other than OK:", ""]
    lines += [f"- {case}, {one['result']}: {one['reason']}." for case, one in expected.other.items()]
    return "\n".join(lines)


def read_section():
    """The written part of the page as it is now."""
    return re.search(rf"{re.escape(BEGIN)}\n\n(.*)\n\n{re.escape(END)}", PAGE.read_text(), re.DOTALL)[1]


def read_rows():
    """The page's rows, as `rows` makes them."""
    lines = re.findall(r"^\| (\d+) \| [^|]+ \| (.*) \|$", read_section(), re.MULTILINE)
    return {int(number): [int(count) for count in counts.split(" | ")] for number, counts in lines}


def write_section(text):
    PAGE.write_text(PAGE.read_text().replace(read_section(), text))
