"""Reads a Dockerfile, as far as ours goes: no heredocs, no escapes but at ends of lines."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """What follows a FROM."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword):
        return [rest for found, rest in self.instructions if found == keyword]

    def environment(self):
        """What its ENV instructions set, without quoted values."""
        words = " ".join(self.all("ENV")).split()
        return dict(word.split("=", 1) for word in words)

    def command(self, keyword):
        """ENTRYPOINT or the command of HEALTHCHECK, in the form that takes no shell."""
        (rest,) = self.all(keyword)
        return json.loads(rest[rest.index("[") :])


def stages(path):
    text = Path(path).read_text(encoding="utf-8")
    # A comment between continued lines does not end them.
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", "", text)
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        keyword, _, rest = line.partition(" ")
        if keyword == "FROM":
            found.append(Stage(rest))
        else:
            found[-1].instructions.append((keyword, rest.strip()))
    return found
