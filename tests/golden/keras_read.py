"""Reads a weight file of ours as Keras's legacy loader does (load_weights_from_hdf5_group) and prints, as JSON, layers and SHA-256 of each array's bytes."""

import hashlib
import json
import sys

import h5py
import numpy as np


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


with h5py.File(sys.argv[1], "r") as f:
    assert text(f.attrs["backend"]) == "tensorflow" and text(f.attrs["keras_version"]) == "2.15.0"
    assert f.attrs["layer_names"].dtype.kind == "S"
    layers = []
    for name in f.attrs["layer_names"]:
        group = f[text(name)]
        arrays = []
        for weight in group.attrs["weight_names"]:
            dataset = group[text(weight)]
            assert dataset.dtype == np.dtype("<f4") and dataset.chunks is None
            arrays.append([text(weight), list(dataset.shape), hashlib.sha256(np.asarray(dataset).tobytes()).hexdigest().upper()])
        if not arrays:
            assert group.attrs["weight_names"].dtype == np.dtype("f8")
        layers.append([text(name), arrays])
    print(json.dumps(layers))
