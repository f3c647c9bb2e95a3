"""A training step of the lstm-attention classifier in PyTorch, as a peer of `bench compare step` (protocol: see Peer.cs).

    lstm_step_torch.py WORK THREADS

WORK holds initial.safetensors (the classifier's checkpoint names), features.npy [batch, time, inputs] and labels.npy. `losses N` trains N steps without dropout from the initial
weights and answers with their losses; `run N` times N steps with dropout 0.5, after one that does not count.
"""
import json
import math
import os
import sys
import time

import numpy as np
import torch

H, RATE, EPSILON = 128, 1e-4, 1e-7


def read_safetensors(path):
    with open(path, "rb") as f:
        raw = f.read()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    data = raw[8 + length:]
    return {n: torch.from_numpy(np.frombuffer(data[e["data_offsets"][0]:e["data_offsets"][1]], "<f4").reshape(e["shape"]).copy()) for n, e in header.items()}


class Trainer:
    """The step that the command line's defaults make: focal loss, label smoothing, clipping by the global norm, Adam. Fused and multi-tensor forms wherever PyTorch has them."""

    def __init__(self, initial, x, y, dropout):
        self.x, self.y, self.dropout = x, y, dropout
        self.buffers = {n: v.clone() for n, v in initial.items() if "running_" in n}
        self.p = {n: v.clone().requires_grad_() for n, v in initial.items() if n not in self.buffers}
        self.adam = torch.optim.Adam(self.p.values(), lr=RATE, foreach=True)
        self.steps = 0
        self.zeros = torch.zeros(4 * H)

    def norm(self, v, i):
        flat = v.reshape(-1, v.shape[-1])
        b = self.buffers
        flat = torch.nn.functional.batch_norm(
            flat, b[f"bn_{i}.running_mean"], b[f"bn_{i}.running_var"], self.p[f"bn_{i}.weight"], self.p[f"bn_{i}.bias"], training=True, momentum=0.01, eps=1e-3)
        return flat.reshape(v.shape)

    def drop(self, v):
        return torch.nn.functional.dropout(v, self.dropout) if self.dropout else v

    def dense(self, v, name):
        return torch.nn.functional.linear(v, self.p[name + ".weight"], self.p[name + ".bias"])

    def forward(self):
        v, p = self.x, self.p
        state = torch.zeros(1, v.shape[0], H)
        for i in (1, 2, 3):
            flat = [p[f"lstm_{i}.weight_ih"], p[f"lstm_{i}.weight_hh"], p[f"lstm_{i}.bias"], self.zeros]
            v = self.drop(self.norm(torch._VF.lstm(v, (state, state), flat, True, 1, 0.0, True, False, True)[0], i))
        v = (torch.softmax(v @ p["attention.weight"][0], 1).unsqueeze(2) * v).sum(1)
        v = self.drop(torch.relu(self.norm(self.dense(v, "dense_1"), 4)))
        v = self.drop(torch.relu(self.norm(self.dense(v, "dense_2"), 5)))
        return self.dense(self.drop(torch.relu(self.dense(v, "dense_3"))), "output")

    def step(self):
        # The engine adds its epsilon before the bias correction, as Keras does; PyTorch after it.
        self.steps += 1
        self.adam.param_groups[0]["eps"] = EPSILON / math.sqrt(1 - 0.999 ** self.steps)
        self.adam.zero_grad(set_to_none=True)
        log_p = torch.log_softmax(self.forward(), 1)
        target = torch.nn.functional.one_hot(self.y, 2) * 0.9 + 0.05
        loss = (0.25 * target * (1 - log_p.exp()) ** 2 * -log_p).sum(1).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.p.values(), 1.0)
        self.adam.step()
        return loss.item()


def main():
    work = sys.argv[1]
    torch.set_num_threads(int(sys.argv[2]))
    initial = read_safetensors(os.path.join(work, "initial.safetensors"))
    x = torch.from_numpy(np.load(os.path.join(work, "features.npy")))
    y = torch.from_numpy(np.load(os.path.join(work, "labels.npy")))
    timed = Trainer(initial, x, y, 0.5)
    timed.step()
    print(f"@ready PyTorch {torch.__version__}", flush=True)
    for line in sys.stdin:
        command, n = line.split()
        if command == "losses":
            check = Trainer(initial, x, y, 0)
            print("@done", *(check.step() for _ in range(int(n))), flush=True)
        elif command == "run":
            timed.step()
            began = time.perf_counter()
            for _ in range(int(n)):
                timed.step()
            print(f"@done {(time.perf_counter() - began) / int(n)}", flush=True)


if __name__ == "__main__":
    main()
