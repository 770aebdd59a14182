"""What proto/README.md says about the schema is true: its commands and programs do what it shows."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

from binary import PROTO

NODE_MODULES = pathlib.Path(__file__).parent / "node_modules"


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
