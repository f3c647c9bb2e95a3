#!/usr/bin/env python3
"""VGG19 fc2 features of real frames: cudatrainer against PyTorch with the same random weights.

    make build && dotnet build -c Release bench
    /usr/bin/python3 bench/compare/vgg19_features.py DATASET [CLIPS_PER_CLASS]

DATASET is a folder with two class folders of clips. Needs Debian's python3-torch. The weights (He-normal, as a torchvision state_dict in a .pth file) are made on the
way. Prints the relative error |a-b|/|b| over all features and the largest of any frame; exits with 1 if that is above 1e-4.
"""
import csv
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHANNELS = [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"]


class Vgg19(torch.nn.Module):
    """torchvision's vgg19 under its names, up to fc2 and its ReLU."""

    def __init__(self):
        super().__init__()
        layers, inputs = [], 3
        for c in CHANNELS:
            if c == "M":
                layers.append(torch.nn.MaxPool2d(2))
            else:
                layers += [torch.nn.Conv2d(inputs, c, 3, padding=1), torch.nn.ReLU()]
                inputs = c
        self.features = torch.nn.Sequential(*layers)
        self.classifier = torch.nn.Sequential(
            torch.nn.Linear(25088, 4096), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(4096, 4096), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(4096, 1000))
        torch.manual_seed(0)
        for p in self.parameters():
            torch.nn.init.kaiming_normal_(p) if p.dim() > 1 else torch.nn.init.uniform_(p, -0.1, 0.1)

    def forward(self, frames):
        v = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
        v = (v - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        return self.classifier[:5](self.features(v).flatten(1))


def main():
    dataset, per_class = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 6
    model = Vgg19().eval()
    with tempfile.TemporaryDirectory() as work:
        classes = sorted(d for d in os.listdir(dataset) if os.path.isdir(os.path.join(dataset, d)))[:2]
        for name in classes:
            os.makedirs(os.path.join(work, "clips", name))
            clips = sorted(os.listdir(os.path.join(dataset, name)))
            for clip in clips[:: max(1, len(clips) // per_class)][:per_class]:
                shutil.copy(os.path.join(dataset, name, clip), os.path.join(work, "clips", name, clip))
        weights = os.path.join(work, "vgg19.pth")
        torch.save(model.state_dict(), weights)
        cache = os.path.join(work, "cache")
        subprocess.run(
            [os.path.join(ROOT, "cudatrainer"), "extract", "--dataset-path", os.path.join(work, "clips"), "--weights", weights, "--cache-dir", cache, "--split", "0.34,0.33,0.33", "--quiet"],
            check=True)
        errors, norms, worst = 0.0, 0.0, 0.0
        for split in ("train", "val", "test"):
            features = np.load(os.path.join(cache, f"{split}_features.npy"), mmap_mode="r")
            with open(os.path.join(cache, f"{split}_videos.csv"), newline="") as f:
                rows = [r for r in csv.DictReader(f) if r["status"] == "ok"]
            for row, ours in zip(rows, features):
                frames = os.path.join(work, "frames.npy")
                subprocess.run(
                    ["dotnet", os.path.join(ROOT, "artifacts/bin/Bench/release/CudaTrainer.Bench.dll"), "frames", os.path.join(work, "clips", row["path"]), frames, "20"], check=True)
                with torch.no_grad():
                    theirs = model(np.load(frames)).numpy()
                difference = np.linalg.norm(ours - theirs, axis=1)
                errors += float((difference ** 2).sum())
                norms += float((theirs ** 2).sum())
                worst = max(worst, float((difference / np.linalg.norm(theirs, axis=1)).max()))
        relative = (errors / norms) ** 0.5
        print(f"relative error over all features {relative:.2e}, worst frame {worst:.2e} (limit 1e-4)")
        return 0 if worst <= 1e-4 else 1


sys.exit(main())
