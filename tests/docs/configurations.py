"""Whether systemd and coturn accept what the documents would have them configured with."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 10


def check(language, text, isolation):
    """What is wrong with a block, and a remark: that it could not be looked at. `isolation`: the command that
    gives another one a network of its own, if there is one."""
    tool, look = {"ini": ("systemd-analyze", unit), "conf": ("turnserver", turn_server)}[language]
    if look is turn_server and isolation is None:
        return None, ", not looked at: no network of its own to be had"
    if shutil.which(tool) is None:
        missing = f"{tool} is not installed"
        return (missing if "REQUIRE_TOOLS" in os.environ else None), f", not looked at: {missing}"
    with tempfile.TemporaryDirectory(prefix="docs-") as directory:
        return look(pathlib.Path(directory), text, isolation), ""


def unit(place, text, _isolation):
    """A service beside ours, or a drop-in for ours."""
    ours = place / "chatixia-sidecar.service"
    packaged = (ROOT / "packaging" / ours.name).read_text(encoding="utf-8")
    ours.write_text(runnable(packaged), encoding="utf-8")
    if "ExecStart=" in text:
        looked_at = place / "my-agent.service"
        looked_at.write_text(runnable(text), encoding="utf-8")
    else:
        looked_at = ours
        (place / "chatixia-sidecar.service.d").mkdir()
        (place / "chatixia-sidecar.service.d/override.conf").write_text(text, encoding="utf-8")
    command = ["systemd-analyze", "--man=no", "--recursive-errors=no", "verify", looked_at]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    # It loads all that the unit refers to, and not every machine's other units are faultless.
    said = (done.stdout + done.stderr).splitlines()
    return "\n".join(line for line in said if str(place) in line or looked_at.name in line) or None


def runnable(text):
    """A unit whose program is there."""
    return re.sub(r"^ExecStart=/usr/local/bin/\S+", f"ExecStart={shutil.which('true')}", text, flags=re.MULTILINE)


def turn_server(place, text, isolation):
    """coturn starts with it, on a network of its own, and says nothing against it."""
    certificate, key = place / "cert.pem", place / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=turn.example"]
    subprocess.run([*command, "-out", certificate, "-keyout", key], capture_output=True, check=True, timeout=SECONDS)
    text = re.sub("^cert=.*", f"cert={certificate}", text, flags=re.MULTILINE)
    text = re.sub("^pkey=.*", f"pkey={key}", text, flags=re.MULTILINE)
    (place / "turnserver.conf").write_text(text, encoding="utf-8")
    script = """
        ip link set lo up
        ip address add 198.51.100.1/32 dev lo
        turnserver -c turnserver.conf --listening-ip=198.51.100.1 --log-file=stdout \\
            --pidfile=turnserver.pid --db=users &
        for port in 3478 443; do
            until (: </dev/tcp/198.51.100.1/$port); do kill -0 $! && sleep 0.1; done 2>/dev/null
        done
        kill $!
    """
    command = [*isolation, "timeout", str(SECONDS), "bash", "-ec", script]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode == 0 and not re.search("ERROR|Bad configuration|unknown", said):
        return None
    return f"coturn ended with {done.returncode} and said:\n{said}"
