"""The parts of carry-over.sh that are no shell: links to the clips of a fold, and the table of what all folds answered."""

import csv
import os
import random
import shutil
import sys

RESAMPLES = 2000


def table_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def link(target, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(target, path)


def divide(output, dataset, fold):
    """fold-N: the clips to train on; held-N: those of the other sources in every version."""
    rows = table_of(os.path.join(output, "cv", "predictions.csv"))
    train, held = (os.path.join(output, f"{name}-{fold}") for name in ("fold", "held"))
    for folder in (train, held):
        shutil.rmtree(folder, ignore_errors=True)
    with_source = []
    for row in rows:
        path = row["path"]
        if row["fold"] != fold:
            link(os.path.join(dataset, path), os.path.join(train, path))
            with_source.append((path, row["class"], row["source"]))
            continue
        for version in sorted(os.listdir(os.path.join(output, "versions"))):
            file = path if version == "original" else os.path.splitext(path)[0] + ".mp4"
            link(os.path.join(output, "versions", version, file), os.path.join(held, version, file))
    with open(os.path.join(train, "sources.csv"), "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "class", "source"), *with_source])


def answers(output):
    """By version and clip without its ending: whether it was called violent."""
    called = {}
    for name in sorted(os.listdir(output)):
        if not (name.startswith("answers-") and name.endswith(".csv")):
            continue
        for row in table_of(os.path.join(output, name)):
            version, clip = row["path"].split("/held-" + name[8:-4] + "/")[1].split("/", 1)
            if row["status"] != "ok":
                sys.exit(f"{row['path']}: {row['error']}")
            called.setdefault(version, {})[os.path.splitext(clip)[0]] = row["label"] == "violent"
    return called


def balanced(cells):
    return (cells[0] / cells[1] + cells[2] / cells[3]) / 2


def table(output):
    """Balanced accuracy of each version, and its difference to the original paired by clips, with intervals by bootstrap over sources."""
    rows = table_of(os.path.join(output, "cv", "predictions.csv"))
    called = answers(output)
    versions = ["original", *sorted(version for version in called if version != "original")]
    sources = sorted({row["source"] for row in rows})
    counts = {version: {source: [0, 0, 0, 0] for source in sources} for version in versions}
    for row in rows:
        violent = row["class"] == "violent"
        for version in versions:
            cells = counts[version][row["source"]]
            answer = called[version][os.path.splitext(row["path"])[0]]
            cells[0 if violent else 2] += answer == violent
            cells[1 if violent else 3] += 1
    draws = [sources]
    generator = random.Random(42)
    while len(draws) <= RESAMPLES:
        drawn = [generator.choice(sources) for _ in sources]
        total = [sum(counts["original"][source][i] for source in drawn) for i in range(4)]
        if total[1] and total[3]:
            draws.append(drawn)
    figures = {version: [balanced([sum(counts[version][source][i] for source in drawn) for i in range(4)]) for drawn in draws]
               for version in versions}
    print("| version | balanced accuracy | 95 % interval | difference | 95 % interval | violent called right | nonviolent called right |")
    print("|---|---|---|---|---|---|---|")
    for version in versions:
        values = figures[version]
        gains = [value - original for value, original in zip(values, figures["original"])]
        total = [sum(counts[version][source][i] for source in sources) for i in range(4)]
        difference = "– | –" if version == "original" else f"{100 * gains[0]:+.1f} | {interval(gains[1:], '+.1f')}"
        print(f"| {version} | {100 * values[0]:.1f} % | {interval(values[1:], '.0f')} | {difference} "
              f"| {100 * total[0] / total[1]:.0f} % | {100 * total[2] / total[3]:.0f} % |")


def interval(values, form):
    ordered = sorted(values)
    low, high = ordered[int(0.025 * (len(ordered) - 1))], ordered[int(0.975 * (len(ordered) - 1))]
    return f"{100 * low:{form}} to {100 * high:{form}}"


if __name__ == "__main__":
    if sys.argv[1] == "divide":
        divide(sys.argv[2], sys.argv[3], sys.argv[4])
    else:
        table(sys.argv[2])
