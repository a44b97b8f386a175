#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# EHPNet's ResNet18 with hard labels on rendered heads, in about an hour of two CPU cores.
#
#   training/recipes/resnet18_two_cores.sh RENDERS OUT [NARROW_MINUTES WIDE_MINUTES]
#
# RENDERS: directory of shards (python -m training.synthesize); it may still be growing.
# A network of half the width sees ten times the views in the same time, so it goes first; the
# full one starts from it. Interrupted? The same command goes on where it was.
set -euo pipefail
renders=$1 out=$2 narrow_minutes=${3:-40} wide_minutes=${4:-25}
python=${PYTHON:-python}
settings=(
  --data "$renders" --detected-only --schedule.views-per-epoch 8192 --holdout-every 2
  --loss.label-sigma-deg 3 --loss.mse-weight 0.005
  --optimizer.name adamw --optimizer.weight-decay 0.05 --optimizer.warmup 0.03
  --optimizer.clip-norm 5 --optimizer.ema-decay 0.998
)
"$python" -m training.train_teacher "${settings[@]}" --out "$out/narrow" --network.width 32 \
  --schedule.minutes "$narrow_minutes" --schedule.crop-sizes 0 64 0.4 80 0.7 112 \
  --optimizer.lr 1e-3
"$python" -m training.train_teacher "${settings[@]}" --out "$out/wide" --seed 1 \
  --init "$out/narrow/weights.safetensors" \
  --schedule.minutes "$wide_minutes" --optimizer.lr 3e-4 --checkpoint-minutes 3
echo "weights: $out/wide/weights.safetensors"
