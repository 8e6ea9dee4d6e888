"""The program under test."""

import functools
import os
import subprocess

PATH = os.path.abspath(os.environ.get("SIDECAR_BINARY", "chatixia-sidecar"))


@functools.cache
def help_text():
    return subprocess.run([PATH, "--help"], capture_output=True, text=True, check=True).stdout


def knows(setting):
    """Whether the program has a setting, by the name of its environment variable."""
    return f"--{setting.lower().replace('_', '-')} " in help_text()
