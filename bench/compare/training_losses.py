#!/usr/bin/env python3
"""The first 20 training losses on real features: cudatrainer against the same model in PyTorch.

    make build
    ./cudatrainer extract --dataset-path DATASET --cache-dir CACHE
    /usr/bin/python3 bench/compare/training_losses.py CACHE [LEARNING_RATE]

The learning rate is 1e-4 unless given: at the default 1e-3 rounding grows so fast on so few clips that PyTorch in single precision leaves PyTorch in double within 15 steps.

The clips are put in a random order and their features standardised, so that the run is well conditioned (in the files' order every batch has one class, and single precision
diverges from double within ten steps in PyTorch alone). Both start from the same weights (made here) and run with dropout 0 and batches of 64, all defaults of `train` otherwise: focal
loss, label smoothing, class weights, warm-up, global clipping, Adam. Needs Debian's python3-torch. Prints both columns and the largest relative
difference; exits with 1 if that is above 1e-4.
"""
import csv
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
H, STEPS, BATCH = 128, 20, 64
RATE = float(sys.argv[2]) if len(sys.argv) > 2 else 1e-4


def make_parameters(inputs):
    torch.manual_seed(1)
    p = {}
    for i, width in ((1, inputs), (2, H), (3, H)):
        p[f"lstm_{i}.weight_ih"] = (torch.rand(4 * H, width) * 2 - 1) * math.sqrt(6 / (4 * H + width))
        p[f"lstm_{i}.weight_hh"] = torch.nn.init.orthogonal_(torch.empty(4 * H, H))
        p[f"lstm_{i}.bias"] = torch.cat([torch.zeros(H), torch.ones(H), torch.zeros(2 * H)])
    p["attention.weight"] = (torch.rand(1, H) * 2 - 1) * math.sqrt(6 / (H + 1))
    for name, a, b in (("dense_1", H, 256), ("dense_2", 256, 128), ("dense_3", 128, 64), ("output", 64, 2)):
        p[name + ".weight"], p[name + ".bias"] = (torch.rand(b, a) * 2 - 1) * math.sqrt(6 / (a + b)), torch.zeros(b)
    buffers = {}
    for i, width in ((1, H), (2, H), (3, H), (4, 256), (5, 128)):
        p[f"bn_{i}.weight"], p[f"bn_{i}.bias"] = torch.ones(width), torch.zeros(width)
        buffers[f"bn_{i}.running_mean"], buffers[f"bn_{i}.running_var"] = torch.zeros(width), torch.ones(width)
    return p, buffers


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        raw = t.numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def forward(p, x):
    def norm(v, i):
        axes = tuple(range(v.dim() - 1))
        mean = v.mean(axes)
        return (v - mean) / torch.sqrt(((v - mean) ** 2).mean(axes) + 1e-3) * p[f"bn_{i}.weight"] + p[f"bn_{i}.bias"]

    def dense(v, name):
        return torch.nn.functional.linear(v, p[name + ".weight"], p[name + ".bias"])

    v = x
    for i in (1, 2, 3):
        zeros = torch.zeros(1, v.shape[0], H, dtype=v.dtype)
        flat = [p[f"lstm_{i}.weight_ih"], p[f"lstm_{i}.weight_hh"], p[f"lstm_{i}.bias"], torch.zeros(4 * H, dtype=v.dtype)]
        v = norm(torch._VF.lstm(v, (zeros, zeros), flat, True, 1, 0.0, True, False, True)[0], i)
    v = (torch.softmax(v @ p["attention.weight"][0], 1).unsqueeze(2) * v).sum(1)
    v = torch.relu(norm(dense(v, "dense_1"), 4))
    v = torch.relu(norm(dense(v, "dense_2"), 5))
    return dense(torch.relu(dense(v, "dense_3")), "output")


def main():
    cache = os.path.abspath(sys.argv[1])
    features = np.load(os.path.join(cache, "train_features.npy")).astype("f4")
    labels = np.load(os.path.join(cache, "train_labels.npy")).astype("i8")
    order = np.random.default_rng(0).permutation(len(labels))
    features, labels = features[order], labels[order]
    features = (features - features.mean((0, 1))) / np.maximum(features.std((0, 1)), 0.1 * features.std())
    x, y = torch.from_numpy(features), torch.from_numpy(labels)
    per_epoch = math.ceil(len(x) / BATCH)
    epochs = math.ceil(STEPS / per_epoch)
    p, buffers = make_parameters(x.shape[2])
    with tempfile.TemporaryDirectory() as work:
        weights, out = os.path.join(work, "initial.safetensors"), os.path.join(work, "run")
        for split in ("train", "val"):
            np.save(os.path.join(work, f"{split}_features.npy"), features)
            np.save(os.path.join(work, f"{split}_labels.npy"), labels)
        write_safetensors(weights, {**p, **buffers})
        subprocess.run(
            [os.path.join(ROOT, "cudatrainer"), "train", "--features-dir", work, "--initial-weights", weights, "--checkpoint-dir", out, "--dropout", "0", "--no-shuffle", "--batch-size", str(BATCH),
             "--epochs", str(epochs), "--early-stopping-patience", "0", "--log-every-steps", "1", "--learning-rate", str(RATE), "--quiet"],
            check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(out, "training_steps.csv"), newline="") as f:
            ours = [float(r["loss"]) for r in csv.DictReader(f)]
    theirs = train(p, x, y, per_epoch, epochs)
    worst = 0.0
    for step in range(STEPS):
        difference = abs(ours[step] - theirs[step]) / theirs[step]
        worst = max(worst, difference)
        print(f"step {step:2d}  cudatrainer {ours[step]:.7f}  torch {theirs[step]:.7f}  relative difference {difference:.1e}")
    print(f"largest relative difference over {STEPS} steps {worst:.1e} (limit 1e-4)")
    return 0 if worst <= 1e-4 else 1


def train(initial, x, y, per_epoch, epochs):
    p = {n: v.clone().requires_grad_() for n, v in initial.items()}
    kind = x.dtype
    class_weights = torch.tensor([len(y) / (2.0 * (y == c).sum().item()) for c in (0, 1)], dtype=kind)
    moments = {n: (torch.zeros_like(v), torch.zeros_like(v)) for n, v in p.items()}
    warmup, total = 5 * per_epoch, epochs * per_epoch
    losses = []
    for step in range(STEPS):
        rows = slice(step % per_epoch * BATCH, min(len(x), (step % per_epoch + 1) * BATCH))
        for v in p.values():
            v.grad = None
        log_p = torch.log_softmax(forward(p, x[rows]), 1)
        target = torch.nn.functional.one_hot(y[rows], 2) * 0.9 + 0.05
        loss = ((0.25 * target * (1 - log_p.exp()) ** 2 * -log_p).sum(1) * class_weights[y[rows]]).mean()
        loss.backward()
        losses.append(loss.item())
        norm = torch.sqrt(sum((v.grad.double() ** 2).sum() for v in p.values())).item()
        rate = RATE * (step + 1) / warmup if step < warmup else 1e-7 + (RATE - 1e-7) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
        with torch.no_grad():
            for n, v in p.items():
                g = v.grad * min(1.0, 1.0 / norm)
                m, s = moments[n]
                m.mul_(0.9).add_(0.1 * g)
                s.mul_(0.999).add_(0.001 * g * g)
                v -= rate * math.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1)) * m / (s.sqrt() + 1e-7)
    return losses


sys.exit(main())
