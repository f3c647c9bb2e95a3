"""Fused ops in PyTorch, as a peer of `bench compare fused` (protocol: see Peer.cs).

    fused_torch.py WORK THREADS

`load NAME N` takes the operands WORK/0.npy to WORK/(N-1).npy and WORK/gradient.npy, and answers with the norms of the output and of the operands' gradients, or with nothing for an op it does not know;
`forward CALLS` and `both CALLS` answer with the seconds of one pass. Each op is PyTorch's own where it has one.
"""
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F


def rms_norm(x, scale):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * scale


def focal(x, t):
    log_p = (torch.log_softmax(x, -1) * t).sum(-1)
    return -(1 - log_p.exp()) ** 2 * log_p


OPS = {
    "Add": lambda a, b: a + b,
    "Gelu": F.gelu,
    "Huber": lambda a, b: F.huber_loss(a, b, reduction="none", delta=0.7),
    "LayerNorm": lambda x, scale, shift: F.layer_norm(x, x.shape[-1:], scale, shift, 1e-5),
    "RmsNorm": rms_norm,
    "ScaleShiftRelu": lambda x, s, t: torch.relu(torch.addcmul(t, x, s)),
    "Silu": F.silu,
    "Softmax": lambda x: torch.softmax(x, -1),
    "SoftmaxCrossEntropy": lambda x, t: F.cross_entropy(x, t, reduction="none"),
    "SoftmaxFocal": focal,
    "SwiGlu": lambda a, b: F.silu(a) * b,
}


def main():
    work = sys.argv[1]
    torch.set_num_threads(int(sys.argv[2]))
    print(f"@ready PyTorch {torch.__version__}", flush=True)
    op, operands, seed = None, [], None
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "load":
            op = OPS.get(arguments[0])
            if op is None:
                print("@done ", flush=True)
                continue
            operands = [torch.from_numpy(np.load(os.path.join(work, f"{i}.npy"))) for i in range(int(arguments[1]))]
            y = op(*operands)
            seed = torch.from_numpy(np.load(os.path.join(work, "gradient.npy"))).reshape(y.shape)
            for x in operands:
                x.requires_grad_()
            op(*operands).backward(seed)
            print("@done", float(y.double().norm()), *(float(x.grad.double().norm()) for x in operands), flush=True)
            continue
        calls, backward = int(arguments[0]), command == "both"
        for x in operands:
            x.requires_grad_(backward)
        began = time.perf_counter()
        for _ in range(calls):
            y = op(*operands)
            if backward:
                for x in operands:
                    x.grad = None
                y.backward(seed)
        print(f"@done {(time.perf_counter() - began) / calls}", flush=True)


if __name__ == "__main__":
    main()
