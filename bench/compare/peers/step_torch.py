"""A training step of a classifier in PyTorch, as a peer of `bench compare step` and `bench speed` (protocol: see Peer.cs).

    step_torch.py WORK THREADS [MODEL [fp32 | autocast | bf16]]

MODEL is lstm-attention, simple-lstm, attention-mil or frame-mlp; autocast computes in bfloat16 where PyTorch deems that safe, bf16 holds the weights in it as well. WORK holds
initial.safetensors (the classifier's checkpoint names), features.npy [batch, time, inputs] and labels.npy. `losses N` trains N steps without dropout from the initial weights and
answers with their losses; `run N` times N steps with dropout 0.5, after one that does not count.
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

    def __init__(self, initial, x, y, dropout, model="lstm-attention", precision="fp32"):
        self.y, self.dropout, self.forward = y, dropout, getattr(self, model.replace("-", "_"))
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        self.half = torch.bfloat16 if precision != "fp32" else torch.float32
        self.autocast = precision == "autocast"
        self.x = x.to(self.half)
        self.buffers = {n: v.clone() for n, v in initial.items() if "running_" in n}
        self.p = {n: v.clone().to(kind).requires_grad_() for n, v in initial.items() if n not in self.buffers}
        self.adam = torch.optim.Adam(self.p.values(), lr=RATE, foreach=True)
        self.steps = 0
        self.zeros = torch.zeros(4 * H, dtype=self.half)

    def norm(self, v, i):
        flat = v.reshape(-1, v.shape[-1])
        b = self.buffers
        flat = torch.nn.functional.batch_norm(
            flat.float(), b[f"bn_{i}.running_mean"], b[f"bn_{i}.running_var"], self.p[f"bn_{i}.weight"].float(), self.p[f"bn_{i}.bias"].float(), training=True, momentum=0.01, eps=1e-3)
        return flat.to(v.dtype).reshape(v.shape)

    def drop(self, v):
        return torch.nn.functional.dropout(v, self.dropout) if self.dropout else v

    def dense(self, v, name):
        return torch.nn.functional.linear(v, self.p[name + ".weight"], self.p[name + ".bias"])

    def lstm(self, v, i):
        state = torch.zeros(1, v.shape[0], H, dtype=self.half)
        flat = [self.p[f"lstm_{i}.{n}"].to(self.half) for n in ("weight_ih", "weight_hh", "bias")]
        return torch._VF.lstm(v.to(self.half), (state, state), flat + [self.zeros], True, 1, 0.0, True, False, True)[0]

    def pool(self, v):
        return (torch.softmax(v @ self.p["attention.weight"][0].to(v.dtype), 1).unsqueeze(2) * v).sum(1)

    def lstm_attention(self):
        v = self.x
        for i in (1, 2, 3):
            v = self.drop(self.norm(self.lstm(v, i), i))
        v = self.drop(torch.relu(self.norm(self.dense(self.pool(v), "dense_1"), 4)))
        v = self.drop(torch.relu(self.norm(self.dense(v, "dense_2"), 5)))
        return self.dense(self.drop(torch.relu(self.dense(v, "dense_3"))), "output")

    def simple_lstm(self):
        v = self.drop(self.lstm(self.drop(self.lstm(self.x, 1)), 2)[:, -1])
        return self.dense(self.drop(torch.relu(self.dense(v, "dense_1"))), "output")

    def attention_mil(self):
        return self.dense(self.pool(self.drop(torch.relu(self.dense(self.x, "dense_1")))), "output")

    def frame_mlp(self):
        return self.dense(self.drop(torch.relu(self.dense(self.x, "dense_1"))).mean(1), "output")

    def step(self):
        # The engine adds its epsilon before the bias correction, as Keras does; PyTorch after it.
        self.steps += 1
        self.adam.param_groups[0]["eps"] = EPSILON / math.sqrt(1 - 0.999 ** self.steps)
        self.adam.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, self.autocast):
            logits = self.forward()
        log_p = torch.log_softmax(logits.float(), 1)
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
    model = sys.argv[3] if len(sys.argv) > 3 else "lstm-attention"
    precision = sys.argv[4] if len(sys.argv) > 4 else "fp32"
    timed = Trainer(initial, x, y, 0.5, model, precision)
    timed.step()
    print(f"@ready PyTorch {torch.__version__}{'' if precision == 'fp32' else ' ' + precision}", flush=True)
    for line in sys.stdin:
        command, n = line.split()
        if command == "losses":
            check = Trainer(initial, x, y, 0, model, precision)
            print("@done", *(check.step() for _ in range(int(n))), flush=True)
        elif command == "run":
            timed.step()
            began = time.perf_counter()
            for _ in range(int(n)):
                timed.step()
            print(f"@done {(time.perf_counter() - began) / int(n)}", flush=True)


if __name__ == "__main__":
    main()
