"""Makes keras_*.h5, the golden files of tests/Engine.Tests/Formats/H5ArchiveTests. Made with h5py 3.7.0 and HDF5 1.10.8.

keras_crash.h5 and keras_loop.h5 are not among them: small files damaged at random, on which libhdf5 1.10.8 crashes and never ends.

They follow Keras's legacy layout (keras/src/legacy/saving/legacy_h5_format.py). Numbers are those of formats_make.py: 0, 1, 2, ...
times 0.25, odd ones negative, in row-major order, so that the tests recompute them.
"""

import os

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def numbered(*shape, dtype="f4"):
    values = np.arange(int(np.prod(shape)), dtype="f8").reshape(shape)
    return (values * 0.25 * np.where(values % 2 == 1, -1.0, 1.0)).astype(dtype)


def names(group, attribute, values, variable):
    if variable:
        group.attrs.create(attribute, values, dtype=h5py.string_dtype())
    else:
        # An empty list becomes an empty float64 array, as in Keras.
        group.attrs[attribute] = [value.encode() for value in values]


def layer(root, name, weights, variable=False, **options):
    group = root.create_group(name)
    names(group, "weight_names", list(weights), variable)
    for weight, data in weights.items():
        group.create_dataset(weight, data=data, **options)


def spelling(suffix, cell):
    return {
        f"lstm_1/{cell}kernel{suffix}": numbered(3, 8),
        f"lstm_1/{cell}recurrent_kernel{suffix}": numbered(2, 8),
        f"lstm_1/{cell}bias{suffix}": numbered(8),
    }


def keras2():
    """Weights only, fixed-length names, float32 contiguous."""
    with h5py.File(os.path.join(HERE, "keras_2.h5"), "w") as f:
        names(f, "layer_names", ["video_input", "lstm_1", "bn_1"], False)
        f.attrs["backend"] = "tensorflow".encode()
        f.attrs["keras_version"] = "2.15.0".encode()
        layer(f, "video_input", {})
        layer(f, "lstm_1", spelling(":0", "lstm_cell/"))
        layer(f, "bn_1", {f"bn_1/{name}:0": numbered(2) + i for i, name in enumerate(["gamma", "beta", "moving_mean", "moving_variance"])})


def keras3():
    """A whole model of Keras 3: variable-length names without :0, under model_weights; chunked, shuffled, gzip."""
    with h5py.File(os.path.join(HERE, "keras_3.h5"), "w") as f:
        f.attrs["keras_version"] = "3.3.3"
        f.attrs["backend"] = "tensorflow"
        f.attrs["model_config"] = '{"class_name": "Functional"}'
        root = f.create_group("model_weights")
        names(root, "layer_names", ["video_input", "lstm_1"], True)
        layer(root, "video_input", {}, True)
        layer(root, "lstm_1", spelling("", "lstm_cell/"), True, chunks=True, compression="gzip", shuffle=True)
        layer(root, "top_level_model_weights", {}, False)


def keras1():
    """Names of 2016, two element types, one big-endian array, the latest file format, no backend."""
    with h5py.File(os.path.join(HERE, "keras_1.h5"), "w", libver="latest") as f:
        names(f, "layer_names0", ["block1_conv1"], False)
        names(f, "layer_names1", ["fc1", "old"], False)
        layer(f, "block1_conv1", {"block1_conv1_W_1:0": numbered(3, 3, 2, 4, dtype="f2"), "block1_conv1_b_1:0": numbered(4, dtype="f8")})
        layer(f, "fc1", {"fc1_W_1:0": numbered(5, 2, dtype=">f4"), "fc1_b_1:0": numbered(2)})
        group = f.create_group("old")
        group.create_dataset("old_b:0", data=numbered(3))


def unsafe():
    """A soft link, an external link and elements in another file, which must not be followed."""
    for kind in ["soft", "external", "storage"]:
        with h5py.File(os.path.join(HERE, f"keras_{kind}.h5"), "w") as f:
            names(f, "layer_names", ["a"], False)
            group = f.create_group("a")
            names(group, "weight_names", ["a/kernel:0"], False)
            inner = group.create_group("a")
            f.create_dataset("elsewhere", data=numbered(4))
            if kind == "soft":
                inner["kernel:0"] = h5py.SoftLink("/elsewhere")
            elif kind == "external":
                inner["kernel:0"] = h5py.ExternalLink("keras_2.h5", "/lstm_1/lstm_1/lstm_cell/bias:0")
            else:
                inner.create_dataset("kernel:0", shape=(4,), dtype="f4", external=[("/etc/hostname", 0, 16)])


def keras3_weights():
    """The layout of Keras 3's .weights.h5, which is another one."""
    with h5py.File(os.path.join(HERE, "keras_v3.h5"), "w") as f:
        f.create_dataset("layers/lstm/vars/0", data=numbered(4))


for make in (keras2, keras3, keras1, unsafe, keras3_weights):
    make()
