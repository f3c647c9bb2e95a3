#!/usr/bin/env python3
"""Golden values of the whole lstm-attention classifier, made with PyTorch (torch 1.13.0 from Debian 12).

Weights and data follow from formulas that the C# test repeats, so the file holds results only: logits, the loss, each gradient by name (norm, sum against a
fixed pattern, samples), 20 training losses with Adam in Keras's form, clipping, warm-up and cosine decay, and the running statistics after them.

    python3 whole_model.py        # writes whole_model.json beside this file
"""
import json
import math
import os

import torch

torch.set_num_threads(1)
B, T, D, H = 6, 5, 24, 128
STEPS, WARMUP, TOTAL, LR, MIN_LR = 20, 4, 20, 1e-3, 1e-7
GAMMA, ALPHA, SMOOTHING, CLIP = 2.0, (0.25, 0.75), 0.1, 1.0
EPS, MOMENTUM = 1e-3, 0.99


def noise(count, seed, scale, offset=0.0):
    """offset + scale * u with u in [-1, 1) from a hash of the index, rounded to single."""
    h = (torch.arange(count, dtype=torch.int64) * 2654435761 + (seed + 1) * 40503) & 0xFFFFFFFF
    for multiplier in (2246822519, 3266489917):
        h = ((h ^ (h >> 15)) * multiplier) & 0xFFFFFFFF
    h = h ^ (h >> 16)
    return (offset + scale * (h.double() / 2147483648.0 - 1)).float()


SHAPES = []
for layer, inputs in ((1, D), (2, H), (3, H)):
    SHAPES += [(f"lstm_{layer}.weight_ih", (4 * H, inputs)), (f"lstm_{layer}.weight_hh", (4 * H, H)), (f"lstm_{layer}.bias", (4 * H,))]
    SHAPES += [(f"bn_{layer}.weight", (H,)), (f"bn_{layer}.bias", (H,))]
SHAPES += [("attention.weight", (1, H))]
for name, bn, inputs, outputs in (("dense_1", "bn_4", H, 256), ("dense_2", "bn_5", 256, 128), ("dense_3", None, 128, 64), ("output", None, 64, 2)):
    SHAPES += [(f"{name}.weight", (outputs, inputs)), (f"{name}.bias", (outputs,))]
    if bn:
        SHAPES += [(f"{bn}.weight", (outputs,)), (f"{bn}.bias", (outputs,))]


def initial(index, name, shape):
    count = math.prod(shape)
    if name.startswith("bn_"):
        return noise(count, index, 0.2, 1.0 if name.endswith(".weight") else 0.0)
    scale = 0.1 if len(shape) == 1 else 1.5 / math.sqrt(shape[1])
    return noise(count, index, scale)


params = {n: initial(i, n, s).reshape(s).requires_grad_() for i, (n, s) in enumerate(SHAPES)}
running = {f"bn_{i}": [torch.zeros(c), torch.ones(c)] for i, c in ((1, H), (2, H), (3, H), (4, 256), (5, 128))}
x = noise(B * T * D, 1000, 1.0).reshape(B, T, D)
labels = torch.tensor([0, 1, 1, 0, 1, 1])
class_weights = torch.tensor([B / (2 * 2), B / (2 * 4)])


def batch_norm(v, name):
    axes = tuple(range(v.dim() - 1))
    mean = v.mean(axes)
    var = ((v - mean) ** 2).mean(axes)
    with torch.no_grad():
        running[name][0].mul_(MOMENTUM).add_((1 - MOMENTUM) * mean)
        running[name][1].mul_(MOMENTUM).add_((1 - MOMENTUM) * var)
    return (v - mean) / torch.sqrt(var + EPS) * params[name + ".weight"] + params[name + ".bias"]


def lstm(v, name):
    flat = [params[f"{name}.weight_ih"], params[f"{name}.weight_hh"], params[f"{name}.bias"], torch.zeros(4 * H)]
    zeros = torch.zeros(1, v.shape[0], H)
    return torch._VF.lstm(v, (zeros, zeros), flat, True, 1, 0.0, True, False, True)[0]


def linear(v, name):
    return torch.nn.functional.linear(v, params[name + ".weight"], params[name + ".bias"])


def forward():
    v = x
    for i in (1, 2, 3):
        v = batch_norm(lstm(v, f"lstm_{i}"), f"bn_{i}")
    scores = v @ params["attention.weight"][0]
    attention = torch.softmax(scores, 1)
    v = (attention.unsqueeze(2) * v).sum(1)
    v = torch.relu(batch_norm(linear(v, "dense_1"), "bn_4"))
    v = torch.relu(batch_norm(linear(v, "dense_2"), "bn_5"))
    v = torch.relu(linear(v, "dense_3"))
    return linear(v, "output"), attention


def loss_of(logits):
    log_p = torch.log_softmax(logits, 1)
    p = log_p.exp()
    target = torch.nn.functional.one_hot(labels, 2) * (1 - SMOOTHING) + SMOOTHING / 2
    each = (torch.tensor(ALPHA) * target * (1 - p) ** GAMMA * -log_p).sum(1)
    return (each * class_weights[labels]).mean()


def summary(values):
    flat = values.detach().double().flatten()
    stride = max(1, len(flat) // 8)
    return {"norm": flat.norm().item(), "pattern": (flat * torch.cos(torch.arange(len(flat), dtype=torch.float64) * 0.3)).sum().item(), "samples": flat[::stride][:8].tolist()}


moments = {n: (torch.zeros_like(p), torch.zeros_like(p)) for n, p in params.items()}
result = {"torch": torch.__version__, "losses": [], "gradient_norms": []}
for step in range(STEPS):
    for p in params.values():
        p.grad = None
    logits, attention = forward()
    loss = loss_of(logits)
    loss.backward()
    if step == 0:
        result |= {"logits": logits.flatten().tolist(), "attention": attention.flatten().tolist(), "gradients": {n: summary(p.grad) for n, p in params.items()}}
    norm = torch.sqrt(sum((p.grad.double() ** 2).sum() for p in params.values())).item()
    result["losses"].append(loss.item())
    result["gradient_norms"].append(norm)
    rate = LR * (step + 1) / WARMUP if step < WARMUP else MIN_LR + (LR - MIN_LR) * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (TOTAL - WARMUP)))
    t = step + 1
    with torch.no_grad():
        for n, p in params.items():
            g = p.grad * min(1.0, CLIP / norm)
            m, v = moments[n]
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.999).add_(0.001 * g * g)
            p -= rate * math.sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t) * m / (v.sqrt() + 1e-7)
result["running"] = {f"{n}.{s}": summary(v) for n, pair in running.items() for s, v in zip(("running_mean", "running_var"), pair)}
result["trained"] = {n: summary(p) for n, p in params.items()}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "whole_model.json"), "w") as f:
    json.dump(result, f, indent=1)
    f.write("\n")
