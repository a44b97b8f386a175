# SPDX-License-Identifier: Apache-2.0
"""How long each face of a recording looked away at most, from poses in a bag or JSON lines.

python longest_glance.py drive_poses.mcap 30
"""

from __future__ import annotations

import sys
from pathlib import Path

from headpose_core.report.recording import read_recording
from headpose_core.report.statistics import Cone, face_times


def main(poses: Path, cone_deg: float) -> None:
    recording = read_recording(poses, topic="/head_pose")
    for face in face_times(recording, Cone(cone_deg)):
        share = face.away_s / face.seen_s if face.seen_s else 0.0
        print(
            f"{face.face_id}: seen {face.seen_s:.1f} s, away {share:.0%} of it, "
            f"longest glance {face.longest_away_s:.1f} s"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
