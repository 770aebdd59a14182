"""What longwire-bench leaves behind a run is read by others: HdrHistogram's Python port, a browser, an XML parser."""

import json
import os
import pathlib
import re
import subprocess
import xml.etree.ElementTree as xml

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

BINARY = pathlib.Path(os.environ.get("LONGWIRE_BIN", "longwire")).with_name("longwire-bench")
# How long a run may take before the test fails (seconds): a bound, never a wait.
PATIENCE = 60
# Three digits are kept.
EXACT = pytest.approx
TOLERANCE = 0.002

FILES = ["heat.svg", "lag.hgrm", "latency.hgrm", "latency.hlog", "latency.svg", "report.html", "summary.json"]
PERCENTILES = {"p50": 50, "p90": 90, "p99": 99, "p999": 99.9, "p9999": 99.99, "max": 100}

PICTURES = """[...document.querySelectorAll("svg.picture")].map(picture => {
    const box = picture.getBoundingClientRect();
    return {name: picture.getAttribute("aria-label"), width: box.width, height: box.height,
            lines: picture.querySelectorAll("polyline").length};
})"""
SWITCHES = "getComputedStyle(document.body).backgroundColor"


def bench(*arguments):
    command = [BINARY, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def run(server, folder, duration="2s"):
    """A short run without a warm-up, so that every message is measured."""
    load = ["--users=10", "--rate=1000", "--warmup=0s", f"--duration={duration}", "--core=any", "--dialect=longwire"]
    return bench("pairs", f"--url={server.url}", f"--server-pid={server.process.pid}", *load, f"--out={folder}")


@pytest.fixture(scope="module")
def folder(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "run"
    done = run(server, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def opened(browser, path):
    """A page that nothing was wrong with, and its pictures."""
    page = browser.page()
    page.open(path)
    pictures = page.evaluate(PICTURES)
    assert page.complaints == []
    assert page.requests == [path.resolve().as_uri()], "a page needs nothing but itself"
    for picture in pictures:
        assert picture["width"] > 300 and picture["height"] > 100 and picture["lines"] > 0, picture
    return page, [picture["name"] for picture in pictures]


def test_the_folder_holds_everything_that_was_recorded(folder, summary):
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert summary["format"] == 1
    assert summary["latency_us"]["count"] == summary["lag_us"]["count"] > 1000
    assert f"--out={folder}" in summary["command"]


def test_the_interval_log_adds_up_to_the_summary(folder, summary):
    total = HdrHistogram(1, 60_000_000_000, 3)
    reader = HistogramLogReader(str(folder / "latency.hlog"), HdrHistogram(1, 60_000_000_000, 3))
    intervals = 0
    while (interval := reader.get_next_interval_histogram()) is not None:
        intervals += 1
        assert interval.get_end_time_stamp() > interval.get_start_time_stamp() > summary["started"] * 1000
        total.add(interval)
    assert intervals >= 2
    assert total.get_total_count() == summary["latency_us"]["count"]
    for name, percentile in PERCENTILES.items():
        read = total.get_value_at_percentile(percentile) / 1000
        assert read == EXACT(summary["latency_us"][name], rel=TOLERANCE), name


@pytest.mark.parametrize("kind", ["latency", "lag"])
def test_the_percentile_file_is_the_summarys_curve(folder, summary, kind):
    header, empty, *lines = (folder / f"{kind}.hgrm").read_text().splitlines()
    assert header.split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    assert empty == ""
    points = [tuple(map(float, line.split())) for line in lines if not line.startswith("#")]
    values, quantiles, counts = ([point[column] for point in points] for column in range(3))
    for column in (values, quantiles, counts):
        assert column == sorted(column)
    assert all(odds == EXACT(1 / (1 - quantile), rel=0.01) for _, quantile, _, odds in points[:-1])
    expected = summary[f"{kind}_us"]
    assert (quantiles[-1], counts[-1]) == (1, expected["count"])
    assert values[-1] * 1000 == EXACT(expected["max"], rel=TOLERANCE)
    footer = " ".join(line for line in lines if line.startswith("#"))
    found = re.fullmatch(
        r"#\[Mean += +(\S+), StdDeviation += +(\S+)\] #\[Max += +(\S+), Total count += +(\d+)\] "
        r"#\[Buckets += +(\d+), SubBuckets += +(\d+)\]",
        footer,
    )
    assert found, footer
    assert values[0] / 2 <= float(found[1]) <= values[-1] and int(found[4]) == expected["count"]


def test_the_page_opens_without_a_complaint(folder, browser):
    page, pictures = opened(browser, folder / "report.html")
    expected = {"Latency by percentile", "Latency over time", "Messages", "Connections", "CPU, in percent of a core"}
    assert expected <= set(pictures)
    assert page.evaluate("document.querySelector('.verdict').textContent")
    day = page.evaluate(SWITCHES)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert page.evaluate(SWITCHES) != day


@pytest.mark.parametrize("name", ["latency.svg", "heat.svg"])
def test_a_picture_stands_alone(folder, browser, name):
    assert xml.parse(folder / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    opened(browser, folder / name)


def test_runs_are_laid_side_by_side(server, folder, browser, tmp_path):
    others = [tmp_path / "b1", tmp_path / "b2"]
    for other in others:
        assert run(server, other, duration="1s").returncode == 0
    sides = [f"first={folder}", f"second={others[0]},{others[1] / 'summary.json'}"]
    done = bench("compare", *sides, f"--out={tmp_path / 'compared'}")
    assert done.returncode == 0, done.stderr
    assert "measured times differ" in done.stdout
    assert re.search(r"latency p99 µs +\S+ \(\S+\) +\S+ \(\S+\) +\S+ \(\S+\)", done.stdout), done.stdout
    compared = json.loads((tmp_path / "compared" / "compare.json").read_text())
    assert [side["name"] for side in compared["sides"]] == ["first", "second"]
    _, pictures = opened(browser, tmp_path / "compared" / "compare.html")
    assert "Latency by percentile" in pictures


def test_a_report_is_not_lost_to_the_next_one(server, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = run(server, folder)
    assert done.returncode == 1 and "holds a report already" in done.stderr and "--force" in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_a_server_says_stays_text(folder, browser, tmp_path):
    summary = json.loads((folder / "summary.json").read_text())
    summary["workload"] = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"
    sides = [tmp_path / "<b>one", tmp_path / "two"]
    for side in sides:
        side.mkdir()
        pathlib.Path(side, "summary.json").write_text(json.dumps(summary))
    assert bench("compare", *sides, f"--out={tmp_path / 'out'}").returncode == 0
    page, _ = opened(browser, tmp_path / "out" / "compare.html")
    assert page.evaluate("document.querySelectorAll('script, img').length") == 0
    assert page.evaluate("document.title") == "<b>one beside two"
    assert "<script>" in page.evaluate("document.querySelector('header').textContent")
