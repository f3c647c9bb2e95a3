#!/usr/bin/python3
"""What an epoch costs as people write it, PyTorch in single precision with features decoded or loaded anew in every epoch, beside `cudatrainer train`.

    naive_epoch.py CUDATRAINER DATASET CACHE [ROUNDS]

CACHE holds the features of DATASET (`cudatrainer extract`). Needs python3-torch and python3-opencv (Debian). The engines take turns; medians of ROUNDS (3) are printed. Decoding
and VGG19 are timed on six clips in every round and multiplied up to the clips of the training split: they do the same for every clip.
"""
import csv
import glob
import os
import statistics
import subprocess
import sys
import tempfile
import time

# Threads that wait by spinning make PyTorch several times slower wherever anything else runs; it gets the setting that suits it best.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np  # noqa: E402
import torch  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers"))
from step_torch import Trainer  # noqa: E402
from pipeline_torch import decode, parameters  # noqa: E402

BATCH, SAMPLE, EPOCHS = 64, 6, 6
CONVOLUTIONS = [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0]


def vgg19():
    layers, channels = [], 3
    for width in CONVOLUTIONS:
        if width:
            layers += [torch.nn.Conv2d(channels, width, 3, padding=1), torch.nn.ReLU()]
            channels = width
        else:
            layers.append(torch.nn.MaxPool2d(2))
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(25088, 4096), torch.nn.ReLU(), torch.nn.Linear(4096, 4096), torch.nn.ReLU()).eval()


def features_from_clips(model, clips):
    decoding = computing = 0.0
    for path in clips:
        began = time.perf_counter()
        frames = decode(path)
        middle = time.perf_counter()
        with torch.no_grad():
            model(torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255)
        decoding, computing = decoding + middle - began, computing + time.perf_counter() - middle
    return decoding, computing


def torch_epoch(cache, trainer):
    """Loads everything, as a loop does that opens its files in every epoch, and trains once through it."""
    began = time.perf_counter()
    x = torch.from_numpy(np.load(os.path.join(cache, "train_features.npy")))
    y = torch.from_numpy(np.load(os.path.join(cache, "train_labels.npy")))
    loaded = time.perf_counter()
    for rows in torch.randperm(len(y)).split(BATCH):
        trainer.x, trainer.y = x[rows], y[rows]
        trainer.step()
    return loaded - began, time.perf_counter() - loaded


def own_epoch(program, cache, preset):
    with tempfile.TemporaryDirectory() as work:
        command = [program, "train", "--features-dir", cache, "--checkpoint-dir", work, "--preset", preset, "--epochs", str(EPOCHS), "--batch-size", str(BATCH), "--warmup-epochs", "0", "--no-report", "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(work, "training_history.csv")) as f:
            return statistics.median(float(row["seconds"]) for row in list(csv.DictReader(f))[1:])


def main():
    program, dataset, cache = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    clips = sorted(glob.glob(os.path.join(dataset, "*", "*.*")))
    chosen = clips[:: max(1, len(clips) // SAMPLE)][:SAMPLE]
    count, frames, inputs = np.load(os.path.join(cache, "train_features.npy"), mmap_mode="r").shape
    torch.set_num_threads(os.cpu_count())
    model, trainer = vgg19(), Trainer(parameters(inputs), None, None, 0.5)
    torch_epoch(cache, trainer)
    measured = {name: [] for name in ("decode", "vgg", "load", "train", "baseline", "optimized")}
    for _ in range(rounds):
        decoding, computing = features_from_clips(model, chosen)
        load, train = torch_epoch(cache, trainer)
        row = (decoding * count / SAMPLE, computing * count / SAMPLE, load, train, own_epoch(program, cache, "baseline"), own_epoch(program, cache, "optimized"))
        for name, seconds in zip(measured, row):
            measured[name].append(seconds)
    m = {name: statistics.median(values) for name, values in measured.items()}
    ours = m["optimized"]
    print(f"{count} training clips, {frames} x {inputs} features, batch {BATCH}, {os.cpu_count()} threads, medians of {rounds} rounds\n")
    print("| an epoch | seconds | times ours | of it |")
    print("|---|---:|---:|---|")
    decoded = m["decode"] + m["vgg"] + m["train"]
    shares = ", ".join(f"{name} {100 * m[key] / decoded:.1f} %" for name, key in (("VGG19", "vgg"), ("decoding", "decode"), ("training", "train")))
    print(f"| PyTorch, features decoded anew | {decoded:.1f} | {decoded / ours:.0f} | {shares} |")
    loaded = m["load"] + m["train"]
    print(f"| PyTorch, features loaded anew | {loaded:.3f} | {loaded / ours:.1f} | loading {100 * m['load'] / loaded:.0f} %, training {100 * m['train'] / loaded:.0f} % |")
    print(f"| PyTorch, features in memory | {m['train']:.3f} | {m['train'] / ours:.1f} | training |")
    print(f"| CudaTrainer, preset baseline | {m['baseline']:.3f} | {m['baseline'] / ours:.1f} | |")
    print(f"| CudaTrainer, preset optimized | {ours:.3f} | 1 | |")


main()
