"""The Autobahn suite against `longwire echo`: `LONGWIRE_BIN=target/release/longwire python3 tests/interop/autobahn`."""

import argparse
import sys

import suite
from verdict import Expected, rows, section, write_section

# How long the whole suite may take (seconds): a bound, never a wait.
PATIENCE = 7200


def arguments(expected):
    parser = argparse.ArgumentParser(
        prog="python3 tests/interop/autobahn",
        description="Run the Autobahn suite against `longwire echo` (the binary LONGWIRE_BIN) and judge it case by case.",
        epilog=f"Expected groups: {', '.join(map(str, expected.groups))}. Needs a python2.7 on the PATH; the first run downloads the suite.",
    )
    parser.add_argument("cases", nargs="*", metavar="CASES", help="a group (7), a part of one (7.13.*) or a case (7.13.2); all that is expected if none is named")
    parser.add_argument("--install", action="store_true", help="only set the suite up")
    parser.add_argument("--write", action="store_true", help="run all that is expected, and write what was found into docs/conformance.md")
    given = parser.parse_args()
    if given.write and given.cases:
        parser.error("--write is about all that is expected")
    return given


def main():
    expected = Expected()
    given = arguments(expected)
    python = suite.find_python()
    if python is None:
        print(f"autobahn: {suite.NO_PYTHON}")
        return 0
    suite.install(python)
    if given.install:
        return 0
    cases = given.cases or expected.groups
    results = suite.run(cases, PATIENCE)
    groups = [number for number in expected.groups if number in cases or str(number) in cases]
    complaints = expected.complaints(groups, results)
    for line in complaints:
        print(f"autobahn: {line}")
    print(f"autobahn: {len(results)} cases, complaints: {len(complaints)}; see {suite.FOLDER / 'reports' / 'index.html'}")
    if given.write and not complaints:
        write_section(section(expected, suite.version(), rows(results)))
    return 1 if complaints or not results else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except suite.Failed as failed:
        sys.exit(f"autobahn: {failed}")
