#!/usr/bin/env python3
"""Golden fc2 features of VGG19, made with PyTorch (torch 1.13.0 from Debian 12).

Weights and the two frames follow from a formula that the C# test repeats (uniform He numbers from a hash of the index), so the file holds the features only.

    python3 vgg19.py        # writes vgg19.npy, float32 [2, 4096], beside this file
"""
import math
import os

import numpy as np
import torch

CHANNELS = [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"]


def hashes(count, seed):
    h = (torch.arange(count, dtype=torch.int64) * 2654435761 + (seed + 1) * 40503) & 0xFFFFFFFF
    for multiplier in (2246822519, 3266489917):
        h = ((h ^ (h >> 15)) * multiplier) & 0xFFFFFFFF
    return h ^ (h >> 16)


def noise(shape, seed, scale):
    return (scale * (hashes(math.prod(shape), seed).double() / 2147483648.0 - 1)).float().reshape(shape)


torch.set_num_threads(1)
rgb = (hashes(2 * 224 * 224 * 3, 500) >> 24).float().reshape(2, 224, 224, 3)
v = (rgb.permute(0, 3, 1, 2) / 255 - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
seed, inputs = 0, 3
with torch.no_grad():
    for c in CHANNELS:
        if c == "M":
            v = torch.nn.functional.max_pool2d(v, 2)
            continue
        weight, bias = noise((c, inputs, 3, 3), seed, math.sqrt(6 / (9 * inputs))), noise((c,), seed + 1, 0.05)
        v = torch.relu(torch.nn.functional.conv2d(v, weight, bias, padding=1))
        seed, inputs = seed + 2, c
    v = v.flatten(1)
    for _ in range(2):
        weight, bias = noise((4096, v.shape[1]), seed, math.sqrt(6 / v.shape[1])), noise((4096,), seed + 1, 0.05)
        v = torch.relu(torch.nn.functional.linear(v, weight, bias))
        seed += 2
np.save(os.path.join(os.path.dirname(os.path.abspath(__file__)), "vgg19.npy"), v.numpy())
