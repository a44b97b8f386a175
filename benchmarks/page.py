# SPDX-License-Identifier: Apache-2.0
"""The figures of docs/performance.md: tables between two marks, and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from headpose_core.benchmark.stages import FRAME_STAGES, TOTAL
from headpose_core.benchmark.table import in_words

BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
Rows = Sequence[Sequence[object]]


def write_page(figures: dict[str, Any], page: Path) -> None:
    """Put the tables of these figures into the page. ValueError when it lacks the marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{page}: expected {BEGIN.strip()} and {END.strip()}")
    text = "\n\n".join(_sections(figures))
    page.write_text(f"{before}{BEGIN}\n{text}\n\n{END}{after}", encoding="utf-8")


def _sections(figures: dict[str, Any]) -> Iterator[str]:
    bench = figures["bench"]
    machine, peak = bench["machine"], bench["peak"]
    versions = ", ".join(f"{k} {v}" for k, v in machine.items() if k not in ("processor", "date"))
    yield (
        f"Measured on {machine['date']}: {machine['processor']}; {versions}. One core's peak, in "
        f"the same run: {peak['fp32_gmac_s']:.0f} (fp32) and {peak['int8_gmac_s']:.0f} (int8) "
        f"thousand million multiply-adds a second, {peak['copy_gb_s']:.1f} GB/s copied."
    )
    yield "### Pose networks\n\n" + _networks(bench["results"])
    yield "![Networks beside their floors; a 720p frame by stage](images/performance.png)"
    for name in ("bench_default", "bench", "bench_int8"):
        if name in figures:
            network = in_words(figures[name]["frames"])
            yield f"### A camera frame, stage by stage: {network}\n\n" + _stages(
                figures[name]["stages"]
            )
    if "start" in figures:
        yield "### Start and memory\n\n" + _starts(figures)
    if "latency" in figures:
        yield "### From the camera to `/head_pose`, over DDS\n\n" + _latency(figures)
    if "detect_every" in figures:
        yield "### Fewer detections\n\n" + _table(
            ("`detect_every`", "detections", "finding faces [ms]", "off [deg]", "95 % [deg]"),
            [
                (
                    r["every"],
                    r["detections"],
                    f"{r['find_ms']:.1f}",
                    f"{r['mean_deg']:.2f}",
                    f"{r['p95_deg']:.2f}",
                )
                for r in figures["detect_every"]
            ],
        )
    if "accuracy" in figures:
        yield "### int8 against float\n\n" + _accuracy(figures["accuracy"])


def _networks(results: Sequence[dict[str, Any]]) -> str:
    """A row for each network on each backend; batches side by side."""
    batches = sorted({r["batch"] for r in results})
    networks: dict[tuple[str, str, str], dict[int, dict[str, Any]]] = {}
    for r in results:
        networks.setdefault((r["model"], r["backend"], r["precision"]), {})[r["batch"]] = r
    reference = results[0]["ms_per_face"]
    rows = []
    for key, found in networks.items():
        times = [found[batch]["ms_per_face"] for batch in batches]
        floor = found[batches[0]]["floor_ms"]
        over = f"{times[0] / floor:.2f}" if floor else "-"
        cells = [f"{ms:.2f}" for ms in times]
        rows.append((*key, *cells, f"{1e3 / min(times):.0f}", f"{reference / times[0]:.1f}", over))
    heads = ("network", "backend", "", *(f"ms a face, {b} at once" for b in batches))
    return _table((*heads, "faces a second", "times as fast", "over its floor"), rows)


def _stages(stages: Sequence[dict[str, Any]]) -> str:
    """Milliseconds by stage for each kind of frame, and how far above its floor the whole is."""
    kinds: dict[tuple[int, int, int], dict[str, dict[str, Any]]] = {}
    for s in stages:
        kinds.setdefault((s["width"], s["height"], s["faces"]), {})[s["stage"]] = s
    rows = []
    for (width, height, faces), found in kinds.items():
        total = found[TOTAL]
        cells = [_with_ratio(found[stage]) for stage in FRAME_STAGES]
        whole = f"{total['ms']:.1f} ({total['ratio']:.1f})"
        rows.append((f"{width}x{height}", faces, *cells, whole, f"{total['cpu_ms']:.1f}"))
    return "Milliseconds; in brackets how many times its floor.\n\n" + _table(
        ("image", "faces", *FRAME_STAGES, "all", "processor"), rows
    )


def _with_ratio(stage: dict[str, Any]) -> str:
    ratio = stage["ratio"]
    return f"{stage['ms']:.2f}" + (f" ({ratio:.1f})" if ratio else "")


def _starts(figures: dict[str, Any]) -> str:
    """A process that does nothing else, and the node over DDS."""
    rows = [("library", r["model"], r["backend"], r) for r in figures["start"]]
    for name in ("latency_default", "latency"):
        if name in figures:
            node = figures[name]["start"]
            rows.append(("node", f"{node['model']}, {node['precision']}", node["backend"], node))
    return _table(
        ("process", "network", "backend", "first pose after [s]", "memory [MB]"),
        [(*row, f"{r['first_pose_s']:.2f}", f"{r['rss_mb']:.0f}") for *row, r in rows],
    )


def _latency(figures: dict[str, Any]) -> str:
    named = {**figures["latency"]}
    for kind, told in figures.get("latency_default", {}).items():
        named[f"{kind}, default install"] = told
    rows = []
    for kind, told in named.items():
        if "node" not in told:
            continue
        node, empty = told["node"], told["empty"]
        over = [node[p] - empty[p] for p in ("p50", "p95", "p99")]
        rows.append(
            (
                kind,
                f"{node['p50']:.1f} / {node['p95']:.1f} / {node['p99']:.1f}",
                " / ".join(f"{value:.1f}" for value in over),
                f"{node['cpu_percent']:.0f} %",
                f"{empty['cpu_percent']:.0f} %",
                f"{node['lost']} / {node['dropped']} of {node['sent']}",
                f"{empty['lost']} of {empty['sent']}",
                f"{node['memory_mb']:.0f}",
            )
        )
    heads = (
        *("images", "latency p50 / p95 / p99 [ms]", "over an empty subscriber"),
        *("node, of a core", "empty subscriber", "lost on the way / dropped by the node"),
        *("lost to the empty subscriber", "memory [MB]"),
    )
    idle = figures["latency"].get("idle")
    told = f"\n\nWithout images: {idle['cpu_percent']:.1f} % of a core." if idle else ""
    return _table(heads, rows) + told


def _accuracy(results: dict[str, Any]) -> str:
    rows = [
        (name, *(f"{m['mae'][a]:.2f}" for a in ("yaw", "pitch", "roll", "mean")), m["n"])
        for name, m in results["models"].items()
    ]
    return _table((results["dataset"], "yaw", "pitch", "roll", "MAE [deg]", "faces"), rows)


def _table(heads: Sequence[str], rows: Rows) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def write_plot(figures: dict[str, Any], path: Path) -> None:
    """Times of the networks beside their floors; of a 720p frame by stage."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (networks, frames) = plt.subplots(1, 2, figsize=(12, 4.2), width_ratios=(3, 2))
    singles = [r for r in figures["bench"]["results"] if r["batch"] == 1][::-1]
    names = [f"{r['model']}\n{r['backend']}, {r['precision']}" for r in singles]
    bars = networks.barh(names, [r["ms_per_face"] for r in singles], color="#4477aa")
    networks.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    floors = [(i, r["floor_ms"]) for i, r in enumerate(singles) if r["floor_ms"]]
    for i, floor in floors:
        networks.plot([floor, floor], [i - 0.4, i + 0.4], color="#cc3311", linewidth=2)
    networks.plot([], [], color="#cc3311", label="its multiply-adds at the core's peak")
    networks.legend(loc="lower right", frameon=False, fontsize=8)
    networks.tick_params(axis="y", labelsize=7)
    networks.set(xlabel="ms a face, one at a time, one thread", title="Pose networks")
    best = figures.get("bench_int8", figures["bench"])
    shown = [s for s in best["stages"] if s["width"] == 1280]
    counts = sorted({s["faces"] for s in shown})
    left = [0.0] * len(counts)
    for number, stage in enumerate(FRAME_STAGES):
        took = [s["ms"] for s in shown if s["stage"] == stage]
        labels = [str(count) for count in counts]
        frames.barh(labels, took, left=left, label=stage, color=plt.cm.tab10(number))
        left = [a + b for a, b in zip(left, took, strict=True)]
    frames.legend(frameon=False, fontsize=8)
    frames.invert_yaxis()
    network = in_words(best["frames"])
    frames.set(xlabel="ms", ylabel="faces", title=f"A 720p frame\n{network}")
    for axes in (networks, frames):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
