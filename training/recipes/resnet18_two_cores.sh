#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# EHPNet's ResNet18 with hard labels on rendered heads, in about an hour of two CPU cores.
#
#   training/recipes/resnet18_two_cores.sh OUT RENDERS...
#
# RENDERS: directories of shards (python -m training.synthesize); they may still be growing.
# A network of half the width sees four times the views in the same time, so it goes first; the
# full one starts from it. Interrupted? The same command goes on where it was.
#
# NARROW_MINUTES, WIDE_MINUTES: how long the two take. THREADS: of each; one while a renderer runs
# beside it, because two threads that must share their cores wait for each other.
# ZERO_POSE: yaw, pitch, roll of the rotation between the renderer's idea of straight ahead and
# that of the data to be compared with (python -m training.evaluate --fit-zero-pose).
set -euo pipefail
out=$1
shift
python=${PYTHON:-python}
read -r -a zero_pose <<<"${ZERO_POSE:-0 0 0}"
settings=(
  --data "$@" --threads "${THREADS:-2}" --schedule.views-per-epoch 8192 --holdout-every 2
  --loss.label-sigma-deg 3 --loss.mse-weight 0.005
  --optimizer.name adamw --optimizer.weight-decay 0.05 --optimizer.warmup 0.03
  --optimizer.clip-norm 5 --optimizer.ema-decay 0.998
)
"$python" -m training.train_teacher "${settings[@]}" --out "$out/narrow" --network.width 32 \
  --schedule.minutes "${NARROW_MINUTES:-45}" --schedule.crop-sizes 0 64 0.4 80 0.7 112 \
  --optimizer.lr 1e-3
"$python" -m training.train_teacher "${settings[@]}" --out "$out/wide" --seed 1 \
  --init "$out/narrow/weights.safetensors" --zero-pose-deg "${zero_pose[@]}" \
  --schedule.minutes "${WIDE_MINUTES:-20}" --optimizer.lr 3e-4 --checkpoint-minutes 3
echo "weights: $out/wide/weights.safetensors"
