"""Computes the logits of a weight file of ours in NumPy by Keras's equations: keras_forward.py FILE.h5 MODEL FEATURES.npy.

The equations are those of keras/src/layers/rnn/lstm.py, gru.py (reset_after) and bidirectional.py, normalization/batch_normalization.py, and
of an attention that weighs the steps by the softmax of a dense layer without bias. Prints JSON, [clip][class].
"""

import json
import sys

import h5py
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, kernel, recurrent, bias):
    h = c = np.zeros((x.shape[0], recurrent.shape[0]))
    outputs = []
    for t in range(x.shape[1]):
        i, f, candidate, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def gru(x, kernel, recurrent, bias):
    h = np.zeros((x.shape[0], recurrent.shape[0]))
    outputs = []
    for t in range(x.shape[1]):
        x_z, x_r, x_h = np.split(x[:, t] @ kernel + bias[0], 3, axis=1)
        h_z, h_r, h_h = np.split(h @ recurrent + bias[1], 3, axis=1)
        z = sigmoid(x_z + h_z)
        h = z * h + (1 - z) * np.tanh(x_h + sigmoid(x_r + h_r) * h_h)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def bidirectional(x, *weights):
    return np.concatenate([lstm(x, *weights[:3]), lstm(x[:, ::-1], *weights[3:])[:, ::-1]], axis=2)


def batch_norm(x, gamma, beta, mean, variance):
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def attention(x, kernel):
    scores = x @ kernel
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True) * x).sum(axis=1)


def relu(x):
    return np.maximum(x, 0)


file, model, features = sys.argv[1:]
with h5py.File(file, "r") as f:
    layers = {}
    for layer in f.attrs["layer_names"]:
        group = f[layer.decode()]
        arrays = [np.asarray(group[name.decode()], dtype="f8") for name in group.attrs["weight_names"]] if group.attrs["weight_names"].size else []
        if arrays:
            layers[layer.decode()] = arrays


def dense(x, layer):
    kernel, bias = layers[layer]
    return x @ kernel + bias


x = np.load(features).astype("f8")
if model.endswith("+differences"):
    model = model.removesuffix("+differences")
    x = np.concatenate([x, np.diff(x, axis=1, prepend=x[:, :1])], axis=2)
if model == "simple-lstm":
    x = lstm(lstm(x, *layers["lstm_1"]), *layers["lstm_2"])[:, -1]
    x = relu(dense(x, "dense_1"))
elif model in ("attention-mil", "frame-mlp"):
    x = relu(dense(x, "dense_1"))
    x = attention(x, *layers["attention"]) if model == "attention-mil" else x.mean(axis=1)
elif model == "linear":
    x = np.concatenate([x.mean(axis=1), x.std(axis=1), np.abs(np.diff(x, axis=1)).mean(axis=1)], axis=1)
else:
    recurrent, prefix = {"lstm-attention": (lstm, "lstm"), "bilstm-attention": (bidirectional, "bidirectional"), "gru-attention": (gru, "gru")}[model]
    for i in (1, 2, 3):
        x = batch_norm(recurrent(x, *layers[f"{prefix}_{i}"]), *layers[f"bn_{i}"])
    x = attention(x, *layers["attention"])
    x = relu(batch_norm(dense(x, "dense_1"), *layers["bn_4"]))
    x = relu(batch_norm(dense(x, "dense_2"), *layers["bn_5"]))
    x = relu(dense(x, "dense_3"))
print(json.dumps(dense(x, "output").tolist()))
