"""VGG19 up to fc2 in PyTorch, as a peer of `bench compare vgg` (protocol: see Peer.cs).

    vgg19_torch.py WORK THREADS

WORK holds weights.safetensors (torchvision's names) and frames.npy [n, 224, 224, 3] uint8. Writes vgg19.onnx and frames.f32 (normalised, NCHW) there for ONNX Runtime. Frames are
normalised before the clock starts. Of two forms, channels-last and oneDNN's blocked layout, the faster on this machine is used.
"""
import json
import os
import sys
import time

import numpy as np
import torch

CHANNELS = [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"]


def read_safetensors(path):
    raw = np.memmap(path, mode="r")
    length = int.from_bytes(raw[:8].tobytes(), "little")
    header = json.loads(raw[8:8 + length].tobytes())
    header.pop("__metadata__", None)
    data = raw[8 + length:]
    return {n: torch.from_numpy(data[e["data_offsets"][0]:e["data_offsets"][1]].view("<f4").reshape(e["shape"]).copy()) for n, e in header.items()}


class Vgg19(torch.nn.Module):
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
        self.eval()

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def timed(action, n):
    began = time.perf_counter()
    result = action(n)
    return time.perf_counter() - began, result


def main():
    work = sys.argv[1]
    torch.set_num_threads(int(sys.argv[2]))
    model = Vgg19(read_safetensors(os.path.join(work, "weights.safetensors")))
    frames = torch.from_numpy(np.load(os.path.join(work, "frames.npy"))).permute(0, 3, 1, 2).float() / 255
    frames = ((frames - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)).contiguous()
    frames.numpy().tofile(os.path.join(work, "frames.f32"))
    with torch.no_grad():
        torch.onnx.export(model, frames[:1], os.path.join(work, "vgg19.onnx"), input_names=["frames"], output_names=["features"], dynamic_axes={"frames": {0: "n"}, "features": {0: "n"}}, opset_version=13)
        last, last_frames = model.to(memory_format=torch.channels_last), frames.contiguous(memory_format=torch.channels_last)
        forms = {"channels-last": lambda n: last(last_frames[:n])}
        try:
            frozen = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, frames[:2])))
            frozen(frames[:2])
            forms["frozen graph in oneDNN's layout"] = lambda n: frozen(frames[:n])
        except RuntimeError as error:
            print(f"no frozen form: {error}", file=sys.stderr)
        best = {}
        for name, run in forms.items():
            run(4)
            best[name] = min(timed(run, 4)[0] for _ in range(3))
        name = min(best, key=best.get)
        run = forms[name]
        print(f"@ready PyTorch {torch.__version__}, {name}", flush=True)
        for line in sys.stdin:
            command, *arguments = line.split()
            if command == "run":
                print(f"@done {timed(run, int(arguments[0]))[0]}", flush=True)
            elif command == "save":
                run(int(arguments[0])).numpy().astype("<f4").tofile(arguments[1])
                print("@done 0", flush=True)


if __name__ == "__main__":
    main()
