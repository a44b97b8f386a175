#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How the shipped ehpnet_resnet18 was trained: hard labels, rendered heads, two CPU cores.
#
#   training/recipes/resnet18_two_cores.sh OUT RENDERS...
#
# RENDERS: directories of shards (python -m training.synthesize); they may still be growing.
# A network of half the width sees four times the views in the same time, so it goes first: small
# crops, then the full size. The ResNet18 begins as the same function and goes on from there.
# Interrupted? The same command goes on where it was.
#
# From the second stage on
# - faces that the detector misses are left out: they are never cropped at run time either;
# - most views are turned in the image plane. Pitch and roll of a profile go together when a camera
#   or a head tilts, and the renderer draws them apart;
# - the labels' zero is turned by ZERO_POSE (yaw, pitch, roll), what is left between the renderer's
#   idea of straight ahead and that of 300W-LP (python -m training.evaluate --fit-zero-pose).
set -euo pipefail
out=$1
shift
python=${PYTHON:-python}
read -r -a zero_pose <<<"${ZERO_POSE:-0 -2.5 0}"
settings=(
  --data "$@" --threads "${THREADS:-2}" --schedule.views-per-epoch 8192 --holdout-every 2
  --loss.label-sigma-deg 3 --loss.mse-weight 0.005
  --optimizer.name adamw --optimizer.weight-decay 0.05 --optimizer.clip-norm 5
)
later=(
  --detected-only --augment.geometry.rotate 0.8 --augment.geometry.rotate-deg 14
  --zero-pose-deg "${zero_pose[@]}" --optimizer.warmup 0.05 --checkpoint-minutes 3
)
"$python" -m training.train_teacher "${settings[@]}" --out "$out/narrow" --network.width 32 \
  --schedule.minutes 46 --schedule.crop-sizes 0 64 0.4 80 0.7 112 \
  --optimizer.lr 1e-3 --optimizer.warmup 0.03 --optimizer.ema-decay 0.998
"$python" -m training.train_teacher "${settings[@]}" "${later[@]}" --out "$out/narrow2" \
  --network.width 32 --init "$out/narrow/weights.safetensors" --seed 1 \
  --schedule.minutes 25 --optimizer.lr 8e-4 --optimizer.ema-decay 0.998
"$python" -m training.train_teacher "${settings[@]}" "${later[@]}" --out "$out/wide" \
  --init "$out/narrow2/weights.safetensors" --seed 2 \
  --schedule.minutes 9 --optimizer.lr 2e-4 --optimizer.ema-decay 0.99
echo "weights: $out/wide/weights.safetensors"
