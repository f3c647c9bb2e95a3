"""From clips to a trained classifier with OpenCV and PyTorch, as people write it: the peer of `bench compare pipeline` (protocol: see Peer.cs).

    pipeline_torch.py CLIPS WEIGHTS EPOCHS

CLIPS has a folder for each class. Frames floor(i * (total - 1) / 19) are decoded by OpenCV, resized to 224 x 224 (bilinear), and go through VGG19 in batches of one clip; then the
classifier trains on 70 % of the clips. Answers `run` with the seconds of decoding, of VGG19, of training and of everything.
"""
import glob
import os
import sys
import time

import cv2
import numpy as np
import torch

from step_torch import H, Trainer
from vgg19_torch import Vgg19, read_safetensors

FRAMES, BATCH = 20, 64


def decode(path):
    video = cv2.VideoCapture(path)
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = [i * (total - 1) // (FRAMES - 1) for i in range(FRAMES)]
    frames, index = [], 0
    while len(frames) < FRAMES:
        if not video.grab():
            break
        while len(frames) < FRAMES and wanted[len(frames)] == index:
            frames.append(cv2.cvtColor(cv2.resize(video.retrieve()[1], (224, 224)), cv2.COLOR_BGR2RGB))
        index += 1
    while len(frames) < FRAMES:
        frames.append(frames[-1])
    return np.stack(frames)


def parameters(inputs):
    p = {}
    for i, width in ((1, inputs), (2, H), (3, H)):
        p[f"lstm_{i}.weight_ih"] = torch.nn.init.xavier_uniform_(torch.empty(4 * H, width))
        p[f"lstm_{i}.weight_hh"] = torch.nn.init.orthogonal_(torch.empty(4 * H, H))
        p[f"lstm_{i}.bias"] = torch.cat([torch.zeros(H), torch.ones(H), torch.zeros(2 * H)])
    p["attention.weight"] = torch.nn.init.xavier_uniform_(torch.empty(1, H))
    for name, a, b in (("dense_1", H, 256), ("dense_2", 256, 128), ("dense_3", 128, 64), ("output", 64, 2)):
        p[name + ".weight"], p[name + ".bias"] = torch.nn.init.xavier_uniform_(torch.empty(b, a)), torch.zeros(b)
    for i, width in ((1, H), (2, H), (3, H), (4, 256), (5, 128)):
        p[f"bn_{i}.weight"], p[f"bn_{i}.bias"] = torch.ones(width), torch.zeros(width)
        p[f"bn_{i}.running_mean"], p[f"bn_{i}.running_var"] = torch.zeros(width), torch.ones(width)
    return p


def run(folder, weights, epochs):
    began = time.perf_counter()
    model = Vgg19(read_safetensors(weights)).to(memory_format=torch.channels_last)
    mean, scale = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    features, labels, decoding, computing = [], [], 0.0, 0.0
    for label, name in enumerate(sorted(d for d in os.listdir(folder) if os.path.isdir(os.path.join(folder, d)))):
        for path in sorted(glob.glob(os.path.join(folder, name, "*"))):
            start = time.perf_counter()
            frames = decode(path)
            middle = time.perf_counter()
            with torch.no_grad():
                x = (torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255 - mean) / scale
                features.append(model(x.contiguous(memory_format=torch.channels_last)))
            labels.append(label)
            decoding += middle - start
            computing += time.perf_counter() - middle
    x, y = torch.stack(features), torch.tensor(labels)
    order = torch.randperm(len(y))[: int(0.7 * len(y))]
    start = time.perf_counter()
    trainer = Trainer(parameters(x.shape[2]), x, y, 0.5)
    for _ in range(epochs):
        for rows in order[torch.randperm(len(order))].split(BATCH):
            trainer.x, trainer.y = x[rows], y[rows]
            trainer.step()
    end = time.perf_counter()
    return decoding, computing, end - start, end - began


if __name__ == "__main__":
    print(f"@ready OpenCV {cv2.__version__} and PyTorch {torch.__version__}", flush=True)
    for _ in sys.stdin:
        print("@done", *run(sys.argv[1], sys.argv[2], int(sys.argv[3])), flush=True)
