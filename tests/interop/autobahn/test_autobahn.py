"""The quick cases of the Autobahn suite find what expected.toml says, and docs/conformance.md tells it as it was found."""

import pytest

import suite
import verdict
from suite import Found
from verdict import Expected, rows

# How long the quick cases may take (seconds): a bound, never a wait.
PATIENCE = 150

SMALL = """
group = [{ number = 7, about = "closing", cases = 3, fast = true }]
other = [{ case = "7.3", result = "INFORMATIONAL", reason = "so" }, { case = "7.2", result = "NON-STRICT", reason = "so" }]
"""
RIGHT = {"7.1": Found("OK"), "7.2": Found("NON-STRICT"), "7.3": Found("INFORMATIONAL", "INFORMATIONAL")}


@pytest.fixture(scope="module")
def expected():
    return Expected()


@pytest.fixture(scope="module")
def found(expected):
    """Each quick case with what the suite found."""
    python = suite.find_python()
    if python is None:
        pytest.skip(suite.NO_PYTHON)
    suite.install(python)
    return suite.run([*expected.fast(), *expected.fast_cases()], PATIENCE)


def test_each_case_is_as_expected(expected, found):
    assert expected.complaints(expected.fast(), found, expected.fast_cases()) == [], f"see {suite.FOLDER / 'reports' / 'index.html'}"


def test_the_page_tells_what_was_found(expected, found):
    page, ran = verdict.read_rows(), rows(found)
    assert {number: page[number] for number in expected.fast()} == {number: ran[number] for number in expected.fast()}
    assert f"`autobahntestsuite` {suite.version()}:" in verdict.read_section()


def test_the_page_has_each_group_and_each_exception(expected):
    page = verdict.read_rows()
    assert {number: row[0] for number, row in page.items()} == {
        number: group["cases"] for number, group in expected.groups.items()
    }
    assert all(row[0] == sum(row[1:]) for row in page.values())
    exceptions = [row[0] - row[1] for row in page.values()]
    assert sum(exceptions) == len(expected.other)
    assert all(f"- {case}, {one['result']}: {one['reason']}." in verdict.read_section() for case, one in expected.other.items())


def test_what_is_right_is_no_complaint():
    assert Expected(SMALL).complaints([7], RIGHT) == []


WRONG = {
    "it did not run": ("7.1", None),
    "it failed": ("7.1", Found("FAILED")),
    "it is not built": ("7.1", Found("UNIMPLEMENTED")),
    "its end was unclean": ("7.1", Found("OK", "UNCLEAN")),
    "its end had the wrong code": ("7.1", Found("OK", "WRONG CODE")),
    "it is less strict than it was": ("7.1", Found("NON-STRICT")),
    "it is stricter than the list says": ("7.2", Found("OK")),
    "it is not the exception that the list names": ("7.3", Found("NON-STRICT")),
    "it is of a group that is not expected": ("12.1.1", Found("UNIMPLEMENTED")),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_one_case_that_is_wrong_is_a_complaint(wrong):
    case, result = WRONG[wrong]
    results = {name: one for name, one in (RIGHT | {case: result}).items() if one}
    (complaint,) = Expected(SMALL).complaints([7], results)
    assert case in complaint or (result is None and "2 of 3" in complaint)


def test_a_single_case_has_to_run_as_a_whole_group_has_to():
    assert Expected(SMALL).complaints([], RIGHT, ["7.1", "7.2"]) == []
    (complaint,) = Expected(SMALL).complaints([7], RIGHT, ["7.4"])
    assert complaint == "case 7.4: it did not run"


def test_where_no_python_runs_it_is_skipped(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert suite.find_python() is None
    chooser = tmp_path / "python2.7"
    chooser.write_text("#!/bin/sh\nexit 127\n")
    chooser.chmod(0o755)
    assert suite.find_python() is None
