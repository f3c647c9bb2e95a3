"""Makes formats_*.pth and formats_*.npy, the golden files of tests/Engine.Tests/Formats. Made with PyTorch 1.13.0, NumPy 1.24.2.

Every tensor holds 0, 1, 2, ... (times 0.25 for floating types, odd ones negative) in row-major order, whatever its strides:
exact in all types, so the tests recompute it.
"""

import collections
import os

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))


def numbered(*shape, dtype=torch.float32):
    values = torch.arange(int(np.prod(shape)), dtype=torch.float64).reshape(shape)
    if dtype.is_floating_point:
        values = values * 0.25 * torch.where(values.remainder(2) == 1, -1.0, 1.0)
    return values.to(dtype)


def strided(*shape, order):
    """The same numbers, laid out in memory in another order of the dimensions."""
    inverse = [order.index(d) for d in range(len(order))]
    return numbered(*shape).permute(*order).contiguous().permute(*inverse)


def tensors():
    base = numbered(20)
    result = collections.OrderedDict()
    result["float"] = numbered(2, 3)
    result["double"] = numbered(2, 3, dtype=torch.float64)
    result["half"] = numbered(3, 5, dtype=torch.float16)
    result["bfloat16"] = numbered(3, 5, dtype=torch.bfloat16)
    result["long"] = numbered(4, dtype=torch.int64)
    result["int"] = numbered(4, dtype=torch.int32)
    result["byte"] = numbered(4, dtype=torch.uint8)
    result["bool"] = torch.tensor([False, True])
    result["scalar"] = numbered()
    result["empty"] = numbered(0, 3)
    result["transposed"] = strided(3, 4, order=[1, 0])
    result["half_transposed"] = strided(3, 4, order=[1, 0]).half()
    result["channels_last"] = strided(2, 3, 4, 5, order=[0, 2, 3, 1])
    result["shared_head"] = base[:6].reshape(2, 3)
    result["shared_tail"] = base[14:]
    result["every_second"] = base[::2]
    result["expanded"] = torch.tensor([0.0, -0.25]).expand(3, 2)
    result["parameter"] = torch.nn.Parameter(numbered(2, 2))
    return result


def checkpoint():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    model[0].weight.data = numbered(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    model(numbered(4, 2)).sum().backward()
    optimizer.step()
    model[0].weight.data = numbered(3, 2)
    parallel = torch.nn.DataParallel(model)
    return {"epoch": 3, "best": 0.5, "name": "vgg", "state_dict": parallel.state_dict(), "optimizer": optimizer.state_dict()}


def save(name, value, **options):
    torch.save(value, os.path.join(HERE, f"formats_{name}.pth"), **options)


def main():
    save("zip", tensors())
    save("legacy", tensors(), _use_new_zipfile_serialization=False)
    save("protocol4", tensors(), pickle_protocol=4)
    save("checkpoint", checkpoint())
    save("checkpoint_legacy", checkpoint(), _use_new_zipfile_serialization=False)
    save("whole_module", torch.nn.Linear(1, 1))
    save("nested", {"encoder": {"a": numbered(2)}, "decoder": {0: {"b": numbered(3)}}})

    half = numbered(2, 3, dtype=torch.float16).numpy()
    np.save(os.path.join(HERE, "formats_float16.npy"), half)
    np.save(os.path.join(HERE, "formats_fortran.npy"), np.asfortranarray(half))
    np.save(os.path.join(HERE, "formats_labels.npy"), np.arange(4))
    np.save(os.path.join(HERE, "formats_scalar.npy"), np.float64(0.25))
    for version in (2, 3):
        with open(os.path.join(HERE, f"formats_version{version}.npy"), "wb") as file:
            np.lib.format.write_array(file, numbered(2, 3).numpy(), version=(version, 0))


if __name__ == "__main__":
    main()
