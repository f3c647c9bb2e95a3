"""The parts of drift.sh that are no shell: which clips, links to them for each camera, and the table of the alarms."""

import csv
import json
import os
import shutil
import sys

CLIPS = 4  # of a camera
WINDOWS = 60  # of a camera


def rows_of(file):
    with open(file, newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def link(target, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(target, path)


def divide(output, dataset, folds):
    """fold-N: the clips to train on, without those of every N-th source; clips.txt: of each source a few, of both classes in turn."""
    rows = rows_of(os.path.join(dataset, "sources.csv"))
    sources = sorted({row["source"] for row in rows})
    for fold in range(1, folds + 1):
        folder = os.path.join(output, f"fold-{fold}")
        shutil.rmtree(folder, ignore_errors=True)
        train = [row for row in rows if sources.index(row["source"]) % folds != fold - 1]
        for row in train:
            link(os.path.join(dataset, row["path"]), os.path.join(folder, row["path"]))
        with open(os.path.join(folder, "sources.csv"), "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("path", "class", "source"), *((row["path"], row["class"], row["source"]) for row in train)])
    with open(os.path.join(output, "clips.txt"), "w", encoding="utf-8") as file, \
            open(os.path.join(output, "cameras.csv"), "w", newline="", encoding="utf-8") as cameras:
        table = csv.writer(cameras)
        table.writerow(("source", "fold", "path"))
        for number, source in enumerate(sources):
            own = [row for row in rows if row["source"] == source]
            classes = [[row["path"] for row in own if row["class"] == name] for name in sorted({row["class"] for row in own})]
            in_turn = [part[i] for i in range(len(own)) for part in classes if i < len(part)][:CLIPS]
            for path in in_turn:
                file.write(path + "\n")
                table.writerow((source, number % folds + 1, path))


def cameras(output):
    """cameras-N/VERSION/SOURCE: links to a camera's clips, again and again."""
    by_source = {}
    for row in rows_of(os.path.join(output, "cameras.csv")):
        by_source.setdefault((row["source"], row["fold"]), []).append(row["path"])
    for fold in {fold for _, fold in by_source}:
        shutil.rmtree(os.path.join(output, f"cameras-{fold}"), ignore_errors=True)
    for version in os.listdir(os.path.join(output, "versions")):
        for (source, fold), paths in by_source.items():
            for i in range(WINDOWS):
                path = paths[i % len(paths)]
                file = path if version == "as they are" else os.path.splitext(path)[0] + ".mp4"
                link(os.path.join(output, "versions", version, file),
                     os.path.join(output, f"cameras-{fold}", version, source, f"{i:03}.mp4"))


def table(output):
    """For each version the cameras with an alarm, by quantity."""
    found = {}
    for name in os.listdir(output):
        if name.startswith("report-") and name.endswith(".json"):
            with open(os.path.join(output, name), encoding="utf-8") as file:
                found.setdefault(name[len("report-1-"):-len(".json")], []).extend(json.load(file))
    print("| version | cameras | with an alarm | of these |")
    print("|---|---:|---:|---|")
    for version in sorted(found, key=lambda name: (name != "as they are", name)):
        reports = found[version]
        alarms = [{alarm["alarm"]["quantity"] for alarm in report["alarms"]} for report in reports]
        counts = sorted(((sum(quantity in own for own in alarms), quantity) for quantity in set().union(*alarms)), reverse=True)
        text = ", ".join(f"{quantity.replace('_', ' ')} {count}" for count, quantity in counts)
        print(f"| {version} | {len(reports)} | {sum(bool(own) for own in alarms)} | {text} |")


if __name__ == "__main__":
    if sys.argv[1] == "divide":
        divide(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    elif sys.argv[1] == "cameras":
        cameras(sys.argv[2])
    else:
        table(sys.argv[2])
