"""Adds scenes in which nothing happens to a data set: docs/recipe.md#quiet-scenes.

quiet.py DATASET CLASS OUTPUT: links the clips of DATASET, which has a sources.csv, into OUTPUT, and beside each clip of CLASS puts
quiet-NAME.mp4, three seconds of its first picture with a camera's noise and encoder, as a clip of the same source. Needs ffmpeg.
"""

import csv
import os
import subprocess
import sys

NOISES, QUALITIES, KEYFRAMES = (0, 2, 3, 4, 6, 8), (23, 28, 32, 36, 40), (25, 50, 250)

dataset, kind, output = sys.argv[1:]
with open(os.path.join(dataset, "sources.csv"), newline="", encoding="utf-8") as text:
    rows = [(row["path"], row["class"], row["source"]) for row in csv.DictReader(text)]
added = []
for number, (path, name, source) in enumerate(rows):
    link = os.path.join(output, path)
    os.makedirs(os.path.dirname(link), exist_ok=True)
    os.symlink(os.path.abspath(os.path.join(dataset, path)), link)
    if name != kind:
        continue
    folder, file = os.path.split(path)
    quiet = os.path.join(folder, f"quiet-{os.path.splitext(file)[0]}.mp4")
    noise, quality, keyframes = (values[number // step % len(values)] for values, step in ((NOISES, 1), (QUALITIES, 1), (KEYFRAMES, 2)))
    still = f"trim=end_frame=1,loop=74:1,setpts=N/25/TB,scale=trunc(iw/2)*2:trunc(ih/2)*2,noise=alls={noise}:allf=t"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", link, "-an", "-vf", still, "-r", "25", "-c:v", "libx264", "-pix_fmt",
                    "yuv420p", "-threads", "1", "-g", str(keyframes), "-crf", str(quality), os.path.join(output, quiet)], check=True)
    added.append((quiet, name, source))
with open(os.path.join(output, "sources.csv"), "w", newline="", encoding="utf-8") as text:
    csv.writer(text).writerows([("path", "class", "source"), *rows, *added])
