"""Sets the Autobahn suite up with a Python 2.7, and runs it against `longwire echo`. Needs nothing but Python's own library."""

import contextlib
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import threading
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
FOLDER = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "interop" / "autobahn"
REQUIREMENTS = HERE / "requirements.txt"
LONGWIRE = os.environ.get("LONGWIRE_BIN", "longwire")

# The last virtualenv that makes environments of Python 2.7.
VIRTUALENV = ["virtualenv==20.21.1", "distlib==0.4.4", "filelock==3.32.7", "platformdirs==3.11.0"]
NO_PYTHON = "skipped: the Autobahn suite needs a Python 2.7, and no `python2.7` of the PATH runs"
# What the suite calls the server under test in its reports.
AGENT = "longwire"
# How long the server may take to start and to end (seconds): a bound, never a wait.
PATIENCE = 10
# The suite's own patience with the server (seconds), which is 1 where a busy machine may take longer. The last one is below the server's
# own: it closes a connection that is not closed in 5 s, and it is not to need that.
OPTIONS = {"openHandshakeTimeout": 10, "closeHandshakeTimeout": 10, "serverConnectionDropTimeout": 4}


class Found(NamedTuple):
    """What the suite found in one case: the behaviour, how the connection ended, and more if one of them is not OK."""

    behavior: str
    close: str = "OK"
    more: str = ""


class Failed(Exception):
    """What went wrong, for people."""


def find_python():
    """The `python2.7` of the PATH, or None."""
    # Where pyenv chooses between versions, it is told which one is meant.
    environment = os.environ | {"PYENV_VERSION": "2.7"}
    command = ["python2.7", "-c", "import sys; print(sys.executable)"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    return None


def run_or_fail(*command):
    """Runs a command, whose output is shown only when it fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def install(python):
    """Installs the suite unless that is done already."""
    stamp, wanted = FOLDER / "installed.txt", f"{python}\n{REQUIREMENTS.read_text()}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    maker, venv = FOLDER / "virtualenv", FOLDER / "venv"
    run_or_fail("python3", "-m", "venv", maker)
    run_or_fail(maker / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *VIRTUALENV)
    run_or_fail(maker / "bin" / "virtualenv", "--quiet", f"--app-data={FOLDER / 'virtualenv-data'}", f"--python={python}", venv)
    pip = [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-python-version-warning", "--no-deps"]
    builders = [line for line in REQUIREMENTS.read_text().splitlines() if re.match("(setuptools|wheel|incremental)==", line)]
    run_or_fail(*pip, *builders)
    run_or_fail(*pip, "--no-build-isolation", "--requirement", REQUIREMENTS)
    stamp.write_text(wanted)


def version():
    """The version of the installed suite."""
    said = run_or_fail(FOLDER / "venv" / "bin" / "wstest", "--autobahnversion")
    return re.search(r"AutobahnTestSuite (\S+)", said)[1]


@contextlib.contextmanager
def echo_server():
    """`longwire echo` on a free port; gives its address, and holds it to a clean end."""
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:2])
    if shutil.which(LONGWIRE) is None:
        raise Failed(f"no program {LONGWIRE}: set LONGWIRE_BIN to the path of the longwire binary to test")
    command = [LONGWIRE, "echo", "--listen", "127.0.0.1:0", "--cores", cores]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield await_address(process)
            if process.poll() is not None:
                raise Failed(f"the server ended with {process.returncode} before the suite did")
            process.terminate()
            if (status := process.wait(PATIENCE)) != 0:
                raise Failed(f"the server ended with {status}")
        finally:
            process.kill()


def await_address(process):
    """The address that a starting server's banner names."""
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    banner = ""
    while (line := lines.get(timeout=PATIENCE)) is not None:
        banner += line
        if found := re.search(r"\bws://[^\s/]+:\d+", line):
            return found[0]
    raise Failed(f"the server ended with {process.wait(PATIENCE)} after:\n{banner}")


def run(cases, patience):
    """Runs cases, each a group's number or what the suite itself calls a case pattern, for at most so many seconds.

    Tells what was found in each. The suite's own report stays behind, with a page for each case.
    """
    reports = FOLDER / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    log = reports / "log.txt"
    with echo_server() as address, log.open("w") as output:
        patterns = [f"{case}.*" if case.isdigit() else case for case in map(str, cases)]
        spec = {"outdir": str(reports), "servers": [{"agent": AGENT, "url": address, "options": OPTIONS}], "cases": patterns}
        (reports / "spec.json").write_text(json.dumps(spec))
        command = [FOLDER / "venv" / "bin" / "wstest", "--mode=fuzzingclient", f"--spec={reports / 'spec.json'}"]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, timeout=patience, check=False)
    index = reports / "index.json"
    if not index.exists():
        last = "\n".join(log.read_text().splitlines()[-10:])
        raise Failed(f"the suite came to no end ({log}):\n{last}")
    return {case: read(reports, one) for case, one in json.loads(index.read_text())[AGENT].items()}


def read(reports, entry):
    """What was found in one case, by its entry in the report's index."""
    behavior, close = entry["behavior"], entry["behaviorClose"]
    if behavior == close == "OK":
        return Found(behavior)
    page = json.loads((reports / entry["reportfile"]).read_text())
    said = [page["result"], page["resultClose"], page["wasNotCleanReason"], f"{page['duration']} ms"]
    return Found(behavior, close, "; ".join(filter(None, said)))
