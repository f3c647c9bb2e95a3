#!/usr/bin/env python3
"""PyTorch beside us on the same GPU: `bench gpu steps` and `bench gpu vgg` write weights and inputs into a folder, start this, compare results, and only then times.

    peer.py steps FOLDER [--series N] [--steps N]    features.npy, labels.npy, initial.safetensors
    peer.py vgg FOLDER [--calls N]                   frames.npy, vgg19.safetensors; leaves torch_fp32.npy and torch_fp16.npy

The last line of its output is `@result {JSON}`. Without a GPU it computes the results on the processor in single precision and times nothing; without PyTorch it says so.
"""
import json
import math
import os
import sys
import traceback

H, RATE, EPSILON = 128, 1e-4, 1e-7
CHECKED_STEPS, WARM_STEPS = 5, 10
CHANNELS = [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"]


def finish(result):
    print("@result " + json.dumps(result), flush=True)
    sys.exit(0)


try:
    import numpy as np
    import torch
except Exception as missing:  # Half an installation fails in other ways than ImportError.
    finish({"skipped": f"{sys.executable}: {type(missing).__name__}: {missing}"})

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")


def read_safetensors(path):
    with open(path, "rb") as f:
        length = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(length))
    header.pop("__metadata__", None)
    data = np.memmap(path, dtype="u1", mode="r", offset=8 + length)
    return {n: torch.from_numpy(data[e["data_offsets"][0]:e["data_offsets"][1]].view("<f4").reshape(e["shape"]).copy()) for n, e in header.items()}


def milliseconds(run, rounds):
    """Milliseconds of a round on the GPU's own clock."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for i in range(rounds):
        run(i)
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / rounds


class Classifier(torch.nn.Module):
    def __init__(self, weights, dropout):
        super().__init__()
        inputs = weights["lstm_1.weight_ih"].shape[1]
        for i, width in ((1, inputs), (2, H), (3, H)):
            lstm = torch.nn.LSTM(width, H, batch_first=True)
            with torch.no_grad():
                lstm.weight_ih_l0.copy_(weights[f"lstm_{i}.weight_ih"])
                lstm.weight_hh_l0.copy_(weights[f"lstm_{i}.weight_hh"])
                lstm.bias_ih_l0.copy_(weights[f"lstm_{i}.bias"])
                lstm.bias_hh_l0.zero_()
            lstm.bias_hh_l0.requires_grad_(False)
            setattr(self, f"lstm_{i}", lstm)
        for i, width in ((1, H), (2, H), (3, H), (4, 256), (5, 128)):
            norm = torch.nn.BatchNorm1d(width, eps=1e-3, momentum=0.01)
            with torch.no_grad():
                for name in ("weight", "bias", "running_mean", "running_var"):
                    getattr(norm, name).copy_(weights[f"bn_{i}.{name}"])
            setattr(self, f"bn_{i}", norm)
        for name in ("dense_1", "dense_2", "dense_3", "output"):
            dense = torch.nn.Linear(weights[name + ".weight"].shape[1], weights[name + ".weight"].shape[0])
            with torch.no_grad():
                dense.weight.copy_(weights[name + ".weight"])
                dense.bias.copy_(weights[name + ".bias"])
            setattr(self, name, dense)
        self.attention = torch.nn.Parameter(weights["attention.weight"][0].clone())
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, v):
        for i in (1, 2, 3):
            v = getattr(self, f"lstm_{i}")(v)[0]
            v = self.dropout(getattr(self, f"bn_{i}")(v.reshape(-1, H)).reshape(v.shape))
        v = (torch.softmax(v @ self.attention.to(v.dtype), 1).unsqueeze(2) * v).sum(1)
        v = self.dropout(torch.relu(self.bn_4(self.dense_1(v))))
        v = self.dropout(torch.relu(self.bn_5(self.dense_2(v))))
        return self.output(self.dropout(torch.relu(self.dense_3(v))))


def loss_of(logits, y):
    log_p = torch.log_softmax(logits.float(), 1)
    target = torch.stack([y == 0, y == 1], 1).float() * 0.9 + 0.05
    return (0.25 * target * (1 - log_p.exp()) ** 2 * -log_p).sum(1).mean()


class Trainer:
    """The step that the command line's defaults make: focal loss, label smoothing, clipping by the global norm, Adam, in PyTorch's fused or multi-tensor forms."""

    def __init__(self, weights, half, dropout, graph=False):
        self.model, self.half, self.graph = Classifier(weights, dropout).to(DEVICE).train(), half, graph
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        options = {"lr": RATE, "eps": EPSILON, **({"capturable": True} if graph else {})}
        try:
            self.adam = torch.optim.Adam(self.trained, fused=GPU, **options)
        except (TypeError, RuntimeError, ValueError):
            self.adam = torch.optim.Adam(self.trained, foreach=True, **options)
        scaler = getattr(torch.amp, "GradScaler", None) if hasattr(torch, "amp") else None
        self.scaler = (scaler("cuda") if scaler else torch.cuda.amp.GradScaler()) if half and not graph else None
        self.steps = 0

    def step(self, x, y):
        # The engine adds its epsilon before the bias correction, as Keras does; PyTorch after it.
        self.steps += 1
        self.adam.param_groups[0]["eps"] = EPSILON / math.sqrt(1 - 0.999 ** self.steps)
        self.adam.zero_grad(set_to_none=True)
        return self.compute(x, y)

    def compute(self, x, y):
        with torch.autocast("cuda" if GPU else "cpu", dtype=torch.float16 if GPU else torch.bfloat16, enabled=self.half, cache_enabled=not self.graph):
            logits = self.model(x)
        loss = loss_of(logits, y)
        if self.scaler:
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.adam)
        elif self.half:
            # A graph cannot ask whether something overflowed: a fixed scale, which is less work than ours.
            (loss * 1024).backward()
            torch._foreach_mul_([p.grad for p in self.trained], 1 / 1024)
        else:
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        if self.scaler:
            self.scaler.step(self.adam)
            self.scaler.update()
        else:
            self.adam.step()
        return loss


class Feed:
    """Two batches in pinned memory; the next one is copied while the GPU computes with this one."""

    def __init__(self, x, y, half):
        x = x.half() if half else x
        self.pinned = [(x.clone().pin_memory(), y.clone().pin_memory()) for _ in range(2)]
        self.blocks = [(torch.empty_like(x, device=DEVICE), torch.empty_like(y, device=DEVICE)) for _ in range(2)]
        self.stream = torch.cuda.Stream()
        self.copied = [torch.cuda.Event(), torch.cuda.Event()]
        self.used = [torch.cuda.Event(), torch.cuda.Event()]
        self.prefetch(0)

    def prefetch(self, i):
        with torch.cuda.stream(self.stream):
            self.stream.wait_event(self.used[i % 2])
            for source, block in zip(self.pinned[i % 2], self.blocks[i % 2]):
                block.copy_(source, non_blocking=True)
            self.copied[i % 2].record()

    def run(self, i, step):
        torch.cuda.current_stream().wait_event(self.copied[i % 2])
        self.prefetch(i + 1)
        step(*self.blocks[i % 2])
        self.used[i % 2].record()


def time_eager(weights, x, y, half, series, steps):
    trainer, feed = Trainer(weights, half, 0.5), Feed(x, y, half)
    return time_steps(lambda i: feed.run(i, trainer.step), series, steps)


def time_graph(weights, x, y, half, series, steps):
    trainer, feed = Trainer(weights, half, 0.5, graph=True), Feed(x, y, half)
    static_x, static_y = torch.empty_like(feed.blocks[0][0]), torch.empty_like(feed.blocks[0][1])
    static_x.copy_(feed.pinned[0][0])
    static_y.copy_(feed.pinned[0][1])
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            trainer.step(static_x, static_y)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    trainer.adam.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        trainer.compute(static_x, static_y)

    def replay(block_x, block_y):
        static_x.copy_(block_x)
        static_y.copy_(block_y)
        graph.replay()

    return time_steps(lambda i: feed.run(i, replay), series, steps)


def time_steps(run, series, steps):
    steps += steps % 2
    milliseconds(run, WARM_STEPS)
    return sorted(milliseconds(run, steps) for _ in range(series))[series // 2]


def steps_section(folder, series, steps):
    weights = read_safetensors(os.path.join(folder, "initial.safetensors"))
    x, y = torch.from_numpy(np.load(os.path.join(folder, "features.npy"))), torch.from_numpy(np.load(os.path.join(folder, "labels.npy")))
    result = {"losses": {}, "milliseconds": {}, "errors": {}}
    for half in (False, True) if GPU else (False,):
        kind = "fp16" if half else "fp32"
        trainer = Trainer(weights, half, 0)
        result["losses"][kind] = [trainer.step(x.to(DEVICE), y.to(DEVICE)).item() for _ in range(CHECKED_STEPS)]
        if GPU:
            for name, time in (("eager", time_eager), ("graph", time_graph)):
                attempt(result, f"{kind} {name}", lambda: time(weights, x, y, half, series, steps))
    return result


class Vgg19(torch.nn.Module):
    """torchvision's vgg19 under its names, up to fc2 and its ReLU."""

    def __init__(self, weights):
        super().__init__()
        layers, inputs = [], 3
        for c in CHANNELS:
            if c == "M":
                layers.append(torch.nn.MaxPool2d(2))
            else:
                layers += [torch.nn.Conv2d(inputs, c, 3, padding=1), torch.nn.ReLU(inplace=True)]
                inputs = c
        self.features = torch.nn.Sequential(*layers)
        self.classifier = torch.nn.Sequential(torch.nn.Linear(25088, 4096), torch.nn.ReLU(inplace=True), torch.nn.Dropout(), torch.nn.Linear(4096, 4096), torch.nn.ReLU(inplace=True))
        self.load_state_dict(weights)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, rgb):
        v = rgb.permute(0, 3, 1, 2).to(self.mean.dtype)
        v = ((v / 255 - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)
        return self.classifier(self.features(v).flatten(1))


def vgg_section(folder, calls):
    torch.backends.cudnn.benchmark = True
    net = Vgg19(read_safetensors(os.path.join(folder, "vgg19.safetensors"))).eval().to(DEVICE).to(memory_format=torch.channels_last)
    rgb = torch.from_numpy(np.load(os.path.join(folder, "frames.npy"))).to(DEVICE)
    result = {"milliseconds": {}, "errors": {}}
    with torch.inference_mode():
        for kind in ("fp32", "fp16") if GPU else ("fp32",):
            net = net.half() if kind == "fp16" else net
            np.save(os.path.join(folder, f"torch_{kind}.npy"), net(rgb).float().cpu().numpy())
            if GPU:
                attempt(result, kind, lambda: (milliseconds(lambda _: net(rgb), 2), min(milliseconds(lambda _: net(rgb), calls) for _ in range(5)))[1])
    return result


def attempt(result, name, measure):
    try:
        result["milliseconds"][name] = measure()
    except Exception as error:
        traceback.print_exc()
        result["errors"][name] = f"{type(error).__name__}: {error}".splitlines()[0]


def main():
    section, folder = sys.argv[1], sys.argv[2]
    numbers = {sys.argv[i]: int(sys.argv[i + 1]) for i in range(3, len(sys.argv) - 1, 2)}
    # Single precision means single precision, as on our side: no TF32.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    result = steps_section(folder, numbers.get("--series", 5), numbers.get("--steps", 100)) if section == "steps" else vgg_section(folder, numbers.get("--calls", 10))
    cudnn = torch.backends.cudnn.version() if GPU else None
    finish({"version": f"PyTorch {torch.__version__}", "device": torch.cuda.get_device_name() if GPU else "cpu", "cudnn": cudnn, **result})


if __name__ == "__main__":
    main()
