"""Each server that `longwire-bench versus` knows by name, driven for a moment by each kind of workload: what it is told is
what it understands, and nothing is lost. Figures are looked at by nobody here."""

import json
import os
import pathlib
import subprocess
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = pathlib.Path(os.environ.get("LONGWIRE_BIN", "longwire")).with_name("longwire-bench")
PEERS = tomllib.loads((ROOT / "bench/peers/peers.toml").read_text())["peer"]

# Seconds for all servers under one workload, each of which is started, signed in to, and ended.
PATIENCE = 100
UNPINNED = ["--core=any", "--server-core=any"]
SHORT = ["--warmup=50ms", "--duration=300ms"]
WORKLOADS = {
    "pairs": ("chat", ["pairs", "--users=10", "--in-flight=1"]),
    "pairs at a rate": ("chat", ["pairs", "--users=10", "--rate=200"]),
    "group": ("chat", ["group", "--members=10", "--in-flight=1"]),
    "idle": ("chat", ["idle", "--connections=20", "--hold=200ms", "--settle=10ms"]),
    "echo": ("echo", ["echo", "--connections=10", "--in-flight=2"]),
}


def versus(options, words):
    command = [BENCH, "versus", "--json", f"--peers={ROOT / 'bench/peers'}", "--rounds=1", *options, "--", *words, *UNPINNED]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_peer_is_driven(workload):
    kind, words = WORKLOADS[workload]
    names = [peer["name"] for peer in PEERS if kind in peer]
    options = [f"--target={name}" for name in names]
    if workload == "idle":
        # A message to oneself goes to one's other devices there; in its own dialect there is a ping.
        options.append("--with=longwire=--dialect longwire")
    else:
        words = words + SHORT
    done = versus(options, words)
    assert done.stdout, done.stderr
    (comparison,) = json.loads(done.stdout)
    for run in comparison["runs"]:
        name = names[run["target"]]
        assert run["error"] is None, f"{name}: {run['error']}\n{done.stderr}"
        report = run["report"]
        assert not any(report["faults"].values()), f"{name}: {report['faults']}\n{done.stderr}"
        assert workload == "idle" or report["deliveries"] > 10, f"{name}: {report}"
    assert [run["target"] for run in comparison["runs"]] == list(range(len(names)))
    assert done.returncode == 0, done.stderr


def test_socketio_acks():
    done = versus(["--target=socketio"], ["pairs", "--users=4", "--in-flight=1", "--ids", *SHORT])
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)[0]["runs"][0]["report"]
    assert report["acks"] > 10 and report["faults"]["unacked"] == 0, report
