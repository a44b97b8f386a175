# SPDX-License-Identifier: Apache-2.0
"""Bad images, bad models, bad parameters; how the node starts and how it ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from sensor_msgs.msg import Image

from tests.ros.graph import NodeProcess, Probe, camera_info, image_message
from tests.tiny_models import write_external_model, write_tiny_model
from tools.demo.network import private_network

Start = Callable[..., NodeProcess]


def changed(message: Image, **changes: object) -> Image:
    for name, value in changes.items():
        setattr(message, name, value)
    return message


BAD_IMAGES = {
    "truncated": {"data": bytes(100)},
    "oversized": {"data": bytes(1_000_000)},
    "zero size": {"width": 0, "height": 0, "data": b""},
    "unknown encoding": {"encoding": "32FC1"},
    "small step": {"step": 3},
}


def test_bad_images_are_counted_and_the_next_one_is_used(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    start(probe.namespace, latency_budget=60_000.0)  # a slow machine is not the matter here
    probe.until_ready()
    for count, (name, changes) in enumerate(BAD_IMAGES.items(), 1):
        probe.send(changed(image_message(astronaut), **changes))
        values = probe.until_values(images_failed=count)
        assert probe.status.level == b"\x01", name
        assert values["last_error"].startswith("image"), name
        assert values["last_error"] in probe.status.message, name
    assert len(probe.ask(image_message(astronaut, 1)).heads) == 1
    values = probe.until_values(images_processed=1)
    assert values["images_failed"] == str(len(BAD_IMAGES))
    assert probe.status.level == b"\x00"


FRAGILE = """
import sys
from headpose_ros import calibration
convert = calibration.camera_from_message
def fail(info, topic):
    return convert(info, topic) if info.width != 7 else 1 / 0
calibration.camera_from_message = fail
from headpose_ros.headpose_node import main
sys.exit(main())
"""


def test_a_callback_that_fails_ends_nothing(
    start: Start, probe: Probe, astronaut: np.ndarray
) -> None:
    node = start(probe.namespace, command=(sys.executable, "-c", FRAGILE))
    probe.until_ready()
    probe.send_info(camera_info(7, 7, 7.0))
    probe.until(lambda: "ZeroDivisionError" in node.output(), "the error in the log")
    probe.calibrate(camera_info(512, 512, 500.0))
    (head,) = probe.ask(image_message(astronaut)).heads
    assert np.isfinite(head.position.z)
    assert node.end() == 0


def bad_models(folder: Path) -> dict[str, Path]:
    """A path per way of being wrong, by what the message must say."""
    good = write_tiny_model(folder / "good.onnx")
    truncated = folder / "truncated.onnx"
    truncated.write_bytes(good.read_bytes()[:200])
    return {
        "missing.onnx": folder / "missing.onnx",
        "truncated.onnx": truncated,
        "112": write_tiny_model(folder / "size.onnx", size=96),
        "62": write_tiny_model(folder / "bins.onnx", bins=66),
        "metadata": write_tiny_model(folder / "bare.onnx", properties={}),
        "external": write_external_model(folder / "external.onnx"),
    }


def test_bad_models_are_refused_at_configure(
    start: Start, probe: Probe, tmp_path: Path, tiny_model_file: Path, astronaut: np.ndarray
) -> None:
    """With what was expected; after each the node can be configured again, and at last it is."""
    start(probe.namespace, autostart=False)
    for told, path in bad_models(tmp_path).items():
        assert probe.set_parameters(model=str(path)) == [""]
        assert not probe.change_state("configure")
        assert probe.state() == "unconfigured"
        values = probe.until_values(
            state="unconfigured", last_error=f"cannot be configured: {path}"
        )
        assert told in values["last_error"]
        assert probe.status.level == b"\x02"
    assert probe.set_parameters(model=str(tiny_model_file)) == [""]
    assert probe.change_state("configure")
    assert probe.change_state("activate")
    probe.until_ready()
    assert len(probe.ask(image_message(astronaut)).heads) == 1


def test_what_cannot_be_listened_to_ends_with_a_message(start: Start) -> None:
    override = "qos_overrides./test/image.subscription.reliability:=always"
    node = start(arguments=("-p", override))
    assert node.wait() == 1
    assert "cannot be activated" in node.output()
    assert "always" in node.output()


def test_an_impossible_quality_of_service_is_refused(start: Start) -> None:
    node = start(arguments=("-p", "qos_overrides./diagnostics.publisher.reliability:=always"))
    assert node.wait() == 2
    assert "always" in node.output() or "QoS" in node.output()
    assert "Traceback" not in node.output()


def test_parameters_that_do_not_fit_are_refused_at_configure(start: Start) -> None:
    node = start(detector="insightface")
    assert node.wait() == 1
    assert "detector insightface: expected the path of an SCRFD" in node.output()


def test_failed_autostart_ends_with_a_message(start: Start, tmp_path: Path) -> None:
    node = start(model=tmp_path / "missing.onnx")
    assert node.wait() == 1
    assert "missing.onnx" in node.output()
    assert "Traceback" not in node.output()


def test_missing_device_is_refused_without_fallback(start: Start) -> None:
    node = start(device="tensorrt", allow_cpu_fallback=False)
    assert node.wait() == 1
    assert "tensorrt" in node.output()


def test_missing_device_falls_back_and_says_so(start: Start, probe: Probe) -> None:
    node = start(probe.namespace, device="tensorrt")
    values = probe.until_values(state="active")
    assert (values["device_asked"], values["device"]) == ("tensorrt", "cpu")
    assert "device asked: tensorrt, got: cpu" in node.output()


@pytest.mark.parametrize("times", [1, 3])  # the terminal and `ros2 launch` both send it
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(
    start: Start, probe: Probe, astronaut: np.ndarray, sign: signal.Signals, times: int
) -> None:
    node = start(probe.namespace)
    probe.until_ready()
    for number in range(20):  # one of them is in work when the signal comes
        probe.send(image_message(astronaut, number))
    for _ in range(times - 1):
        node.process.send_signal(sign)
    assert node.end(sign) == 0
    assert "Traceback" not in node.output()


def test_bad_parameter_at_start_ends_with_a_message(start: Start) -> None:
    node = start(max_faces=0)
    assert node.wait() == 2
    assert "max_faces" in node.output()


def test_runs_in_a_bare_shell(probe: Probe, start: Start) -> None:
    """The installed node, with no variable but those that separate this test from others."""
    installed = Path(sys.prefix) / "lib" / "headpose_ros" / "headpose_node"
    if not installed.exists():
        pytest.skip(f"needs the installed node ({installed})")
    bare = ("env", "-i", *(f"{k}={v}" for k, v in private_network().items()), str(installed))
    start(probe.namespace, command=bare)
    probe.until_ready()
    assert probe.ask(image_message(np.zeros((48, 64, 3), np.uint8))).heads == []
