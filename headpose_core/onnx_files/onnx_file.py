# SPDX-License-Identifier: Apache-2.0
"""ONNX files as bytes: read them safely, say what is in them, change the input's size.

ONNX is protobuf. To walk it takes a page of code and spares the ``onnx`` package at run time.
Field numbers are those of ``onnx.proto``. The bytes may come from anywhere: whatever is broken
ends in a ModelError.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headpose_core.errors import ModelError
from headpose_core.onnx_files.protobuf import encode, fields, first, message_in, number_in, text_in

# The shipped ResNet18 takes 22 MB, the paper's largest teacher would take 180 MB.
MAX_FILE_BYTES = 200 * 1024 * 1024

# Where tensors can be in a model: message -> {field: message in it}.
_CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION, _EXTERNAL = 13, 14, 1  # of a tensor
_INPUT_SHAPE = (7, 11, 2, 1, 2)  # graph, input, type, tensor type, shape; in it: dim (1)
GRAPH, _PROPERTY = 7, 14  # of a model
NODE, INITIALIZER, _INPUT, OUTPUT = 1, 5, 11, 12  # of a graph
OPERATOR = 4  # of a node
_DIMS, _TYPE, _NAME, _RAW = 1, 2, 8, 9  # of a tensor
FLOAT32, FLOAT16 = 1, 10
# Element types of onnx.proto by their numbers; others keep the number.
_TYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 10: "float16"}


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: its name, element type as NumPy calls it, and shape; a free axis has a
    name or ''."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"'{self.name}' {self.dtype} {list(self.shape)}"


@dataclass(frozen=True)
class Description:
    """What an ONNX model says about itself: inputs, outputs, operators in use, metadata."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: frozenset[str]
    properties: dict[str, str]


def read_model_file(path: Path) -> bytes:
    """Read a model file whole.

    Raises ModelError when it is not a regular file, is empty, larger than ``MAX_FILE_BYTES``, not
    protobuf, or keeps weights in a second file (which a runtime that gets bytes would look for in
    the current folder).
    """
    data = _read_regular_file(path)
    try:
        external = uses_external_data(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    if external:
        raise ModelError(
            f"{path}: expected a model in one file, got one that keeps weights in another "
            "(ONNX external data); export it again with the weights inside (external_data=False)"
        )
    return data


def uses_external_data(data: bytes) -> bool:
    """Whether any tensor of an ONNX model lives in another file. ModelError: not protobuf."""
    todo = [("model", memoryview(data))]
    while todo:
        kind, message = todo.pop()
        for field, value in fields(message):
            if kind == "tensor":
                if field == _EXTERNAL_DATA or (field, value) == (_DATA_LOCATION, _EXTERNAL):
                    return True
            elif field in _CHILDREN[kind]:
                todo.append((_CHILDREN[kind][field], message_in(value)))
    return False


def describe(data: bytes) -> Description:
    """Inputs, outputs, operators and metadata of an ONNX model. ModelError: not protobuf."""
    model = memoryview(data)
    graph = first(model, GRAPH)[0]
    constants = {name for name, _ in _initializers(graph)}
    inputs = (_tensor_info(message) for message in _each(graph, _INPUT))
    properties = (dict(fields(message)) for message in _each(model, _PROPERTY))
    return Description(
        # Before IR version 4 the weights were inputs, too.
        inputs=tuple(info for info in inputs if info.name not in constants),
        outputs=tuple(_tensor_info(message) for message in _each(graph, OUTPUT)),
        operators=frozenset(
            text_in(value)
            for node in _each(graph, NODE)
            for number, value in fields(node)
            if number == OPERATOR
        ),
        properties={text_in(p.get(1, 0)): text_in(p.get(2, memoryview(b""))) for p in properties},
    )


def read_weights(data: bytes) -> dict[str, NDArray[np.float32]]:
    """The float32 and float16 initialisers of an ONNX model by name, as float32.

    Raises ModelError when ``data`` is no model or when one's data do not fill its shape.
    """
    weights = {}
    for name, tensor in _initializers(first(memoryview(data), GRAPH)[0]):
        dims = [number_in(value) for number, value in fields(tensor) if number == _DIMS]
        rest = dict(fields(tensor))
        dtype = _TYPES.get(number_in(rest.get(_TYPE, 0)))
        if dtype not in ("float32", "float16"):
            continue
        raw = message_in(rest.get(_RAW, memoryview(b"")))
        told = f"expected the weights {name} {dims} as raw data, got {len(raw)} bytes"
        if min(dims, default=0) < 0:  # NumPy would choose a size for it
            raise ModelError(told)
        try:
            values = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).reshape(dims)
        except ValueError as error:  # of another length, or more or larger axes than NumPy takes
            raise ModelError(told) from error
        weights[name] = values.astype(np.float32)
    return weights


def tensor_name(tensor: memoryview) -> str:
    """The name of an initialiser."""
    return text_in(dict(fields(tensor)).get(_NAME, memoryview(b"")))


def tensor_type(tensor: memoryview) -> int:
    """The element type of an initialiser, by its number in onnx.proto."""
    return number_in(dict(fields(tensor)).get(_TYPE, 0))


def tensor_bytes(name: str, values: NDArray[np.float16]) -> bytes:
    """The message of an initialiser with these values."""
    dims = b"".join(encode(_DIMS, size) for size in values.shape)
    raw = values.astype("<f2").tobytes()
    return dims + encode(_TYPE, FLOAT16) + encode(_NAME, name.encode()) + encode(_RAW, raw)


def with_input_size(data: bytes, height: int, width: int) -> bytes:
    """An ONNX model whose first input is (1, 3, height, width), for fully convolutional networks.

    Only the declared shape of the input changes; the shapes declared behind it turn stale, which
    runtimes warn about and correct. Raises ModelError when ``data`` is no model with a first input
    of rank 4.
    """
    shape = memoryview(data)
    for step in _INPUT_SHAPE:
        shape = first(shape, step)[0]
    rank = sum(field == 1 for field, _ in fields(shape))
    if rank != 4:
        raise ModelError(f"expected a model with an input (1, 3, H, W), got one of rank {rank}")
    dims = b"".join(encode(1, encode(1, size)) for size in (1, 3, height, width))
    return _replace(memoryview(data), _INPUT_SHAPE, dims)


def _read_regular_file(path: Path) -> bytes:
    """The bytes of a file that is no folder, pipe or device and of an allowed size."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: expected a regular .onnx file, got a folder or a device")
        if not 0 < status.st_size <= MAX_FILE_BYTES:
            raise ModelError(
                f"{path}: expected an .onnx file of 1 to {MAX_FILE_BYTES} bytes, "
                f"got {status.st_size}"
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: cannot read this model file ({error.strerror}); "
            "give the path of an existing .onnx file"
        ) from error


def _each(message: memoryview, field: int) -> Iterator[memoryview]:
    """All sub-messages with this field number."""
    return (message_in(value) for number, value in fields(message) if number == field)


def _initializers(graph: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Name and message of each weight."""
    return ((tensor_name(tensor), tensor) for tensor in _each(graph, INITIALIZER))


def _tensor_info(message: memoryview) -> TensorInfo:
    """Name, element type and shape of an input or output; what is not a tensor has no type."""
    parts = dict(fields(message))
    tensor = _inner(_inner(parts, 2), 1)
    number = number_in(tensor.get(1, 0))
    dims = fields(message_in(tensor.get(2, memoryview(b""))))
    return TensorInfo(
        name=text_in(parts.get(1, memoryview(b""))),
        dtype=_TYPES.get(number, f"type {number}"),
        shape=tuple(_dimension(message_in(value)) for field, value in dims if field == 1),
    )


def _inner(message: dict[int, memoryview | int], field: int) -> dict[int, memoryview | int]:
    return dict(fields(message_in(message.get(field, memoryview(b"")))))


def _dimension(message: memoryview) -> int | str:
    """A fixed size, or the name of a free axis, '' when it has none."""
    for field, value in fields(message):
        if field == 1:
            return number_in(value)
        if field == 2:
            return text_in(value)
    return ""


def _replace(message: memoryview, path: tuple[int, ...], new: bytes) -> bytes:
    """The message with the first sub-message at ``path`` replaced, and every length around it."""
    if not path:
        return new
    inner, start, end = first(message, path[0])
    return (
        message[:start].tobytes() + encode(path[0], _replace(inner, path[1:], new)) + message[end:]
    )
