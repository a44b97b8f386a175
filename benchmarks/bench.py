# SPDX-License-Identifier: Apache-2.0
"""``headpose bench`` with other people's networks in the same turns.

    python -m benchmarks.bench --peer benchmarks/peers/fsanet.toml --peer-files models

Takes the options of ``headpose bench``, too.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.peer import PeerModel
from headpose_core.benchmark.models import Entry
from headpose_core.commands import bench


def main(argv: Sequence[str] | None = None) -> int:
    """Command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    command = bench.add_parser(parser.add_subparsers())
    peer = partial(command.add_argument, type=Path)
    peer("--peer", nargs="+", default=[], metavar="TOML", help="other people's networks")
    peer("--peer-files", metavar="DIR", help="where theirs are, if not beside the TOML")
    args = parser.parse_args(["bench", *(sys.argv[1:] if argv is None else argv)])
    peers = [PeerModel(path, args.peer_files, args.threads) for path in args.peer]
    return bench.run(args, [_entry(peer, args.threads) for peer in peers])


def _entry(peer: PeerModel, threads: int) -> Entry:
    side = peer.config.input.size
    return Entry(peer.name, "onnxruntime", "fp32", threads, peer, side, math.nan)


if __name__ == "__main__":
    sys.exit(main())
