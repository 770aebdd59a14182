"""The two programs in docs/quickstart.md, made and run as the page says, print what it shows.

The numbers of messages may be others than on the page. (What is typed into terminals there is held by test_transcripts.py.)
"""

import pathlib
import queue
import re
import subprocess
import sys
import threading

from longwire import PATIENCE, Server

ROOT = pathlib.Path(__file__).parents[2]
HERE = pathlib.Path(__file__).parent
PAGE = (ROOT / "docs" / "quickstart.md").read_text()
PYTHON = ".venv/bin/python"
# Where the suite has what the page installs.
INSTALLED = {".venv/bin/pip install": HERE / "requirements.txt", "npm install --no-save": HERE / "package.json"}
ADDRESS = "ws://127.0.0.1:9501/"


def blocks(language):
    """Each block in a language, with the first name in backticks before it."""
    return re.findall(rf"`([^`\n]+)`[^`]*\n\n```{language}\n(.*?)```", PAGE, re.DOTALL)


def prepare(folder):
    """What the `sh` block says, but for what is installed."""
    (folder / "proto").symlink_to(ROOT / "proto")
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    commands = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
    for command in commands:
        for install, known in INSTALLED.items():
            if command.startswith(install):
                for package in command.removeprefix(install).split():
                    assert package in known.read_text(), f"{package} is not installed for this test"
                break
        else:
            assert command.startswith(PYTHON), f"nobody knows how to test `{command}`"
            subprocess.run([sys.executable, *command.split()[1:]], cwd=folder, check=True, timeout=60)


class Program:
    """A program of the page, and the lines that it prints."""

    def __init__(self, command, folder):
        words = [sys.executable if word == PYTHON else word for word in command.split()]
        self.process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip())
        self.lines.put(None)

    def expect(self, line):
        pattern = re.sub(r"\d{10,}", r"\\d{10,}", re.escape(line))
        printed = self.lines.get(timeout=PATIENCE)
        assert printed is not None and re.fullmatch(pattern, printed), f"{line!r} is shown, {printed!r} was printed"

    def end(self):
        self.process.kill()
        self.process.wait()


def test_the_programs_talk_as_shown(tmp_path):
    prepare(tmp_path)
    programs, output = blocks("js") + blocks("python"), blocks("text")
    assert [name for name, _ in programs] == ["alice.mjs", "bob.py"] and len(output) == 2
    with Server() as server:
        for name, text in programs:
            assert ADDRESS in text
            (tmp_path / name).write_text(text.replace(ADDRESS, server.url))
        running = []
        try:
            for (command, shown), (name, _) in zip(output, programs, strict=True):
                assert command.split()[-1] == name
                running.append(Program(command, tmp_path))
                # Each has signed in before the next one starts.
                running[-1].expect(shown.splitlines()[0])
            for program, (_, shown) in zip(running, output, strict=True):
                for line in shown.splitlines()[1:]:
                    program.expect(line)
            assert running[-1].process.wait(timeout=PATIENCE) == 0
        finally:
            for program in running:
                program.end()
