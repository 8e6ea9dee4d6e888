"""Two agents as the field's runner runs them (contract part 3), at a registry that asks for keys.

Standard library only. The keys and the agents have different names, as in the field's guide: the key of `work-pc`
runs the agent `work-agent`. The environment names the registry (REGISTRY_URL) and the binary (SIDECAR_BINARY); the
first argument is a directory for the sockets. Each step that went well is a line on standard output.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

REGISTRY = os.environ["REGISTRY_URL"]
STEP_SECONDS = 20


class Runner:
    """An agent: what the runner does for it, step by step."""

    def __init__(self, agent_id, key, skills, directory):
        self.agent_id, self.key, self.skills = agent_id, key, skills
        self.socket = os.path.join(directory, f"{agent_id}.sock")

    def call(self, method, path, body=None):
        content = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "x-api-key": self.key}
        request = urllib.request.Request(REGISTRY + path, content, headers, method=method)
        # An answer that is none of 2xx raises, which ends the runner.
        with urllib.request.urlopen(request, timeout=STEP_SECONDS) as answer:
            return json.load(answer)

    def start(self):
        registration = {
            "agent_id": self.agent_id,
            "hostname": socket.gethostname(),
            "sidecar_peer_id": f"{self.agent_id}-sidecar",
            "capabilities": {"skills": self.skills, "mcp_servers": [], "goals_count": 0, "mode": "interactive"},
        }
        answer = self.call("POST", "/api/registry/agents", registration)
        environment = dict(
            os.environ,
            IPC_SOCKET=self.socket,
            API_KEY=self.key,
            SIGNALING_URL=REGISTRY.replace("http", "ws", 1) + "/ws",
            TOKEN_URL=f"{REGISTRY}/api/token",
        )
        self.sidecar = subprocess.Popen([os.environ["SIDECAR_BINARY"]], env=environment)
        until(lambda: os.path.exists(self.socket))
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(STEP_SECONDS)
        connection.connect(self.socket)
        self.events = connection.makefile("r", encoding="utf-8")
        return answer

    def await_event(self, kind):
        for line in self.events:
            event = json.loads(line)
            if event["type"] == kind:
                return event["payload"]
        raise AssertionError(f"no {kind} came")

    def heartbeat(self):
        """Does the tasks that it brings; returns how many there were."""
        body = {"agent_id": self.agent_id, "skill_names": self.skills}
        tasks = self.call("POST", "/api/hub/heartbeat", body)["pending_tasks"]
        for task in tasks:
            result = task["payload"]["message"].upper()
            end = {"state": "completed", "result": result, "error": ""}
            self.call("POST", f"/api/hub/tasks/{task['id']}", end)
        return len(tasks)

    def stop(self):
        answer = self.call("DELETE", f"/api/registry/agents/{self.agent_id}")
        self.sidecar.send_signal(signal.SIGTERM)
        return answer, self.sidecar.wait(STEP_SECONDS)


def until(holds):
    deadline = time.monotonic() + STEP_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError("it never happens")
        time.sleep(0.1)


def expect(step, found, expected):
    if found != expected:
        raise AssertionError(f"{step}: {found!r} in place of {expected!r}")
    print(f"ok: {step}", flush=True)


def play(directory):
    work = Runner("work-agent", "ak_work_pc", ["list_agents"], directory)
    home = Runner("rpi-agent", "ak_rpi_home", ["shout"], directory)
    expect("register", work.start(), {"status": "ok"})
    expect("register the other", home.start(), {"status": "ok"})
    expect("connected", work.await_event("peer_connected")["peer_id"], "rpi-home")
    expect("heartbeat", home.heartbeat(), 0)
    listed = {agent["agent_id"]: agent for agent in work.call("GET", "/api/registry/agents")}
    expect("list", sorted(listed), ["rpi-agent", "work-agent"])
    expect("health", {agent["health"] for agent in listed.values()}, {"active"})
    expect("sidecar", listed["rpi-agent"]["sidecar_peer_id"], "rpi-home")
    route = work.call("GET", "/api/registry/route?skill=shout")
    expect("route", route["agent_id"], "rpi-agent")

    task = {"skill": "shout", "target_agent_id": route["agent_id"], "source_agent_id": "work-agent"}
    task |= {"payload": {"message": "hello"}, "ttl": 300}
    task_id = work.call("POST", "/api/hub/tasks", task)["task_id"]
    expect("pending", work.call("GET", f"/api/hub/tasks/{task_id}")["state"], "pending")
    expect("heartbeat with a task", home.heartbeat(), 1)
    done = work.call("GET", f"/api/hub/tasks/{task_id}")
    expect("result", (done["state"], done["result"]), ("completed", "HELLO"))
    edge = [{"from_peer": "work-pc", "to_peer": "rpi-home"}]
    until(lambda: work.call("GET", "/api/hub/network/topology")["mesh_edges"] == edge)
    expect("topology", work.call("GET", "/api/hub/network/topology")["mesh_edges"], edge)
    expect("stop", home.stop(), ({"status": "ok"}, 0))
    gone = work.call("GET", "/api/registry/agents/rpi-agent")
    expect("gone", gone, {"error": "not found"})
    expect("stop of the other", work.stop(), ({"status": "ok"}, 0))


play(sys.argv[1])
