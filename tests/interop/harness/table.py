"""The table of stacks and roles."""

COLUMNS = [
    ("stack", "stack", str),
    ("role", "its role", str),
    ("connect", "connect ms", "{:.0f}".format),
    ("100 in order", "100 in order", str),
    ("largest to it", "largest to it", "{:,}".format),
    ("largest from it", "from it", "{:,}".format),
    ("its goodbye", "its goodbye ms", "{:.0f}".format),
    ("our goodbye", "our goodbye ms", "{:.0f}".format),
    ("kill", "kill ms", "{:.0f}".format),
    ("back after", "back after ms", "{:.0f}".format),
    ("result", "result", str),
]


def render(rows):
    """A line for each row, in columns."""
    lines = [[title for _, title, _ in COLUMNS]]
    for row in rows:
        row = {**row, "result": result(row)}
        lines.append(["-" if row.get(key) is None else shown(row[key]) for key, _, shown in COLUMNS])
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def result(row):
    if "skipped" in row:
        return f"skipped, {row['skipped']}"
    return f"FAILED: {', '.join(row['failures'])}" if row["failures"] else "ok"
