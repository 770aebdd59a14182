"""What proto/README.md says about the schema is true: its commands and programs do what it shows, and numbers stay what they are."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from binary import PROTO, ClientFrame, ServerFrame

HERE = pathlib.Path(__file__).parent
NODE_MODULES = HERE / "node_modules"
SCHEMA = "longwire/v1/longwire.proto"


def test_the_page_makes_the_same_frame_in_each_language(tmp_path):
    folder = shutil.copytree(PROTO, tmp_path / "proto")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    blocks = re.findall(r"```(\w+)\n(.*?)```", (PROTO / "README.md").read_text(), re.DOTALL)
    shown = [text.strip() for language, text in blocks if language == "text"]
    programs = {"sh": ["sh", "-eu"], "python": [sys.executable, "-"], "js": ["node", "--input-type=module"]}
    environment = os.environ | {"PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": "."}
    said = []
    for language, program in blocks:
        if language in programs:
            run = subprocess.run(
                programs[language], input=program, cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            assert run.returncode == 0, run.stderr
            said += run.stdout.split()
    assert len(shown) == 1 and said == shown * 2


def kept(frame):
    """The numbers that a frame's comment keeps, and the fields that they are kept for."""
    text = (PROTO / SCHEMA).read_text()
    body = re.search(rf"^message {frame.DESCRIPTOR.name} {{\n(.*?)^}}", text, re.DOTALL | re.MULTILINE)[1]
    (said,) = re.findall(r"// .*Kept: (.*)\.\n", body)
    return {int(number): name for number, name in (one.split(" for ") for one in said.split(", "))}


@pytest.mark.parametrize(
    "frame, numbers", [(ClientFrame, range(12, 14)), (ServerFrame, range(18, 19))], ids=["ClientFrame", "ServerFrame"]
)
def test_a_number_that_is_kept_is_taken_by_none_but_its_own(frame, numbers):
    names = kept(frame)
    assert list(names) == list(numbers)
    for field in frame.DESCRIPTOR.fields:
        if field.number in names or field.name in names.values():
            assert names.get(field.number) == field.name


@pytest.mark.parametrize(
    "change, complaint",
    [
        (("Pong pong = 11;", "Pong pong = 14;"), 'field "11" with name "pong"'),
        (("uint64 retry_after = 4;", "uint32 retry_after = 4;"), "retry_after"),
        (("DURABILITY_OS = 3", "DURABILITY_OS = 9"), 'enum value "3" on enum "Durability"'),
    ],
)
def test_a_number_that_changed_since_the_release_is_found(tmp_path, change, complaint):
    folder = shutil.copytree(PROTO, tmp_path / "proto")
    before = (folder / SCHEMA).read_text()
    assert before.count(change[0]) == 1
    (folder / SCHEMA).write_text(before.replace(*change))
    command = [NODE_MODULES / ".bin" / "buf", "breaking", "--against", HERE / "released"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode != 0 and complaint in run.stdout + run.stderr, run
