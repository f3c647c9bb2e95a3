"""Draws the cost curves of `bench compare curves`: plot_curves.py DATA.json OUT.png. Needs Debian's python3-matplotlib."""
import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

with open(sys.argv[1]) as f:
    curves = json.load(f)
figure, axes = plt.subplots(1, len(curves), figsize=(5 * len(curves), 4))
for ax, curve in zip(axes, curves):
    x, y = curve["x"], curve["y"]
    ax.loglog(x, y, "o-", label="measured (median)")
    ax.loglog(x, [y[-1] * v / x[-1] for v in x], "--", color="grey", label="in proportion to the largest")
    ax.set_title(curve["Name"], fontsize=10)
    ax.set_xlabel(curve["Unit"])
    ax.set_ylabel("seconds")
    ax.set_xticks(x, [str(v) for v in x])
    ax.minorticks_off()
    ax.grid(True, which="major", alpha=0.3)
    ax.legend(fontsize=8)
figure.tight_layout()
figure.savefig(sys.argv[2], dpi=110)
print("@ready plot", flush=True)
