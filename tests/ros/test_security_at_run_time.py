# SPDX-License-Identifier: Apache-2.0
"""What docs/security.md promises of the running node: no port but those of DDS, no process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy.context import Context

from tests.ros.graph import REPOSITORY, NodeProcess, Probe, image_message
from tools.demo.network import end_in_peace

Start = Callable[..., NodeProcess]
POLICY = REPOSITORY / "config" / "headpose_sros2.xml"

BARE = """
import rclpy
rclpy.init()
rclpy.spin(rclpy.create_node("bare", namespace="{namespace}"))
"""
# Python tells a hook of everything that it opens, starts and unpickles.
WATCHED = """
import json, os, sys
sys.dont_write_bytecode = True
watched = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn",
           "os.fork", "os.mkdir", "pickle.", "urllib.", "http.", "ftplib.", "smtplib.",
           "webbrowser.")
log = open(sys.argv.pop(1), "a", buffering=1)
def hook(event, arguments):
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if event.startswith(watched) or writes:
        log.write(json.dumps([event, repr(arguments)[:200]]) + chr(10))
sys.addaudithook(hook)
from headpose_ros.headpose_node import main
sys.exit(main(sys.argv))
"""


def ports(pid: int) -> Counter[tuple[str, str, bool]]:
    """The sockets of a process that can be reached from elsewhere: protocol, local address in
    hexadecimal, whether it listens on a port below the range of those that the system gives."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue  # closed meanwhile
        if match := re.fullmatch(r"socket:\[(\d+)\]", target):
            inodes.add(match[1])
    lowest_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: Counter[tuple[str, str, bool]] = Counter()
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].rsplit(":", 1)
            if fields[9] in inodes:
                found[protocol, address, int(port, 16) < lowest_given] += 1
    return found


def test_ports_are_those_of_a_bare_node(start: Start, probe: Probe, astronaut: np.ndarray) -> None:
    """DDS opens the same ones for every process, whatever is in it."""
    node = start(probe.namespace)
    bare = subprocess.Popen([sys.executable, "-c", BARE.format(namespace=probe.namespace)])
    try:
        probe.until_ready()
        assert len(probe.ask(image_message(astronaut)).heads) == 1
        there = ("bare", probe.namespace)
        probe.until(lambda: there in probe.node.get_node_names_and_namespaces(), "a bare node")
        of_bare = ports(bare.pid)
        assert of_bare  # else this would compare nothing
        assert ports(node.process.pid) == of_bare
    finally:
        end_in_peace(bare)


def test_nothing_is_started_opened_written_or_unpickled(
    start: Start, probe: Probe, tmp_path: Path, astronaut: np.ndarray
) -> None:
    """By Python, from its start to its end, in good times and in bad."""
    log = tmp_path / "events.jsonl"
    node = start(probe.namespace, command=(sys.executable, "-c", WATCHED, str(log)))
    probe.until_ready()
    broken = image_message(astronaut, 0)
    broken.encoding = "8UC3; rm -rf /"
    probe.send(broken)
    probe.until_values(images_failed=1)
    assert len(probe.ask(image_message(astronaut, 1)).heads) == 1
    assert probe.set_parameters(model="/etc/passwd") == [""]
    for transition in ("deactivate", "cleanup"):
        assert probe.change_state(transition)
    assert not probe.change_state("configure")
    assert node.end() == 0
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert events == []


def test_the_audit_hook_would_tell(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    code = (
        WATCHED.partition("from headpose_ros")[0]
        + "import socket; socket.socket(); open('kept', 'w')"
    )
    subprocess.run([sys.executable, "-c", code, str(log)], check=True, cwd=tmp_path)
    events = [json.loads(line)[0] for line in log.read_text().splitlines()]
    assert events == ["socket.__new__", "open"]


def allowed(profile: ElementTree.Element, kind: str, direction: str) -> set[str]:
    """Names of the policy's topics or services."""
    names = profile.findall(f"{kind}s[@{direction}='ALLOW']/{kind}")
    return {str(name.text).replace("~/", "headpose/") for name in names}


def does(probe: Probe, kind: str) -> set[str]:
    """Names of what the node has; those in its namespace without that."""
    ask = getattr(probe.node, f"get_{kind}_names_and_types_by_node")
    names = (name for name, _ in ask("headpose", probe.namespace))
    return {name.removeprefix(f"{probe.namespace}/") for name in names}


def test_policy_for_sros2_allows_what_the_node_does_and_no_more(
    ros: Context, start: Start
) -> None:
    """With everything switched on, and raw images or compressed ones."""
    pytest.importorskip("hri_msgs.msg", reason="needs hri_msgs, of the tests' workspace")
    profile = ElementTree.parse(POLICY).getroot().find(".//profile[@node='headpose']")
    assert profile is not None
    found: dict[str, set[str]] = {"subscriber": set(), "publisher": set(), "service": set()}
    for transport in ("raw", "compressed"):
        probe = Probe(ros, f"/policy_{transport}")
        everything = {"publish_hri": True, "use_sim_time": True, "filter__frame": "base_link"}
        start(probe.namespace, image_transport=transport, **everything)
        try:
            probe.until_values(state="active")
            for kind, names in found.items():
                names |= does(probe, kind)
        finally:
            probe.close()
    faces = {name for name in found["publisher"] if name.startswith("/humans/faces/")}
    assert faces
    published = found["publisher"] - faces | {"/humans/faces/*"}
    assert published == allowed(profile, "topic", "publish")
    # Those that rclpy has on some distributions only.
    found["subscriber"].add("/parameter_events")
    found["service"].add("headpose/get_type_description")
    assert found["subscriber"] == allowed(profile, "topic", "subscribe")
    assert found["service"] == allowed(profile, "service", "reply")
