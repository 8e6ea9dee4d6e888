"""The files below the environment that a sidecar's settings come from, read as the sidecar reads them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Tuple

FILE_BYTES = 64 * 1024
"""A larger file is not read."""

_OUTDONE_BY = {"DEVICE_TOKEN": "API_KEY", "SIGNALING_URL": "REGISTRY_URL", "TOKEN_URL": "REGISTRY_URL"}
"""What counts for nothing in a file below a place that sets the other, which would give way to it."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_REFERENCE = re.compile(r"\{([^}]*)\}|([^\W_]*)")
_BLANKS = re.compile(r"[ \t]*")
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "$": "$", " ": " ", "n": "\n"}


def settings_below(environment: Mapping[str, str]) -> Dict[str, str]:
    """What `.env` and the file that `join` wrote say, the first over the second.

    A file that is not there, or can't be read, says nothing: the sidecar tells of it.
    """
    found: Dict[str, str] = {}
    for path in _files(environment):
        try:
            with open(path, "rb") as file:
                content = file.read(FILE_BYTES + 1)
            text = content.decode() if len(content) <= FILE_BYTES else ""
        except (OSError, ValueError):
            continue
        values, _bad_line = parse(text, environment.get)
        above = {name for name, value in {**found, **environment}.items() if value}
        for name, value in values:
            if _OUTDONE_BY.get(name) not in above:
                found.setdefault(name, value)
    return found


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    named = environment.get("ENV_FILE")
    if named:
        yield from _unless_none(named)
    else:
        here = Path.cwd()
        paths = (directory / ".env" for directory in (here, *here.parents))
        nearest = next((path for path in paths if path.is_file()), None)
        if nearest is not None:
            yield nearest
    named = environment.get("CONFIG_FILE")
    if named:
        yield from _unless_none(named)
        return
    directory, home = environment.get("XDG_CONFIG_HOME", ""), environment.get("HOME", "")
    if os.path.isabs(directory):
        yield Path(directory, "chatixia-sidecar", "config")
    elif os.path.isabs(home):
        yield Path(home, ".config", "chatixia-sidecar", "config")


def _unless_none(named: str) -> Iterator[Path]:
    if named != "none":
        yield Path(named)


def parse(
    text: str, environment: Callable[[str], Optional[str]]
) -> Tuple[List[Tuple[str, str]], Optional[int]]:
    """Names and values in their order, and the number of the line that can't be read, which ends them.

    `environment` gives the variables that values refer to.
    """
    text = text[1:] if text.startswith("\ufeff") else text
    values: List[Tuple[str, str]] = []
    at = 0
    while at < len(text):
        try:
            entry, end = _line(text, at, dict(values), environment)
        except _Unreadable:
            return values, text.count("\n", 0, at) + 1
        if entry is not None:
            values.append(entry)
        at = end
    return values, None


class _Unreadable(Exception):
    pass


def _line(
    text: str, at: int, known: Mapping[str, str], environment: Callable[[str], Optional[str]]
) -> Tuple[Optional[Tuple[str, str]], int]:
    """One line, or several if quotes go over them, and where the next one begins."""
    at = _skip_blanks(text, at)
    if _is_end(text, at) or text[at] == "#":
        return None, _next_line(text, at)
    name, at = _name(text, at)
    at = _skip_blanks(text, at)
    if name == "export" and text[at : at + 1] != "=":
        name, at = _name(text, at)
        at = _skip_blanks(text, at)
    if text[at : at + 1] != "=":
        raise _Unreadable
    at = _skip_blanks(text, at + 1)
    value = ""
    if text[at : at + 1] != "#":
        value, at = _value(text, at, known, environment)
    return (name, value), _next_line(text, at)


def _value(
    text: str, at: int, known: Mapping[str, str], environment: Callable[[str], Optional[str]]
) -> Tuple[str, int]:
    parts: List[str] = []
    quote = ""
    while at < len(text):
        c = text[at]
        if not quote and _is_end(text, at):
            break
        at += 1
        if quote and c == quote:
            quote = ""
        elif quote == "'":
            parts.append(c)
        elif c == "\\":
            if text[at : at + 1] not in _ESCAPED:
                raise _Unreadable
            parts.append(_ESCAPED[text[at]])
            at += 1
        elif c == "$":
            found = _REFERENCE.match(text, at)
            if found is None or (text[at : at + 1] == "{" and found[1] is None):
                raise _Unreadable
            name = found[1] if found[1] is not None else found[2]
            value = environment(name)
            parts.append(known.get(name, "") if value is None else value)
            at = found.end()
        elif not quote and c in "'\"":
            quote = c
        elif not quote and c in " \t":
            at = _skip_blanks(text, at)
            if not _is_end(text, at) and text[at] != "#":
                raise _Unreadable
            break
        else:
            parts.append(c)
    if quote:
        raise _Unreadable
    return "".join(parts), at


def _name(text: str, at: int) -> Tuple[str, int]:
    found = _NAME.match(text, at)
    if found is None:
        raise _Unreadable
    return found[0], found.end()


def _skip_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()


def _is_end(text: str, at: int) -> bool:
    return at >= len(text) or text[at] == "\n" or text.startswith("\r\n", at)


def _next_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1
