#!/usr/bin/python3
"""Draws what a terminal showed at one moment of a recorded session, as an HTML page.

    script --log-out REC.out --log-timing REC.time -c COMMAND
    terminal_picture.py REC.out REC.time COLUMNS ROWS PATTERN > page.html

The moment is the last one at which the screen shows PATTERN (a regular expression); the screen is emulated by pyte.
"""
import html
import re
import sys

import pyte

COLOURS = {
    "default": "#d7dde5", "black": "#5c6773", "red": "#f07178", "green": "#7fd962", "brown": "#ffb454", "yellow": "#ffb454", "blue": "#59c2ff",
    "magenta": "#d2a6ff", "cyan": "#95e6cb", "white": "#ffffff", "brightblack": "#8a95a3", "brightred": "#ff8f8f", "brightgreen": "#aaf28b",
    "brightbrown": "#ffd173", "brightyellow": "#ffd173", "brightblue": "#8ad4ff", "brightmagenta": "#e2c4ff", "brightcyan": "#b5f5e0", "brightwhite": "#ffffff",
}


def spans(row, columns):
    text, style = "", None
    for column in range(columns):
        cell = row[column]
        colour = cell.fg if cell.fg.startswith("#") else COLOURS.get(cell.fg, "#" + cell.fg if re.fullmatch("[0-9a-f]{6}", cell.fg) else COLOURS["default"])
        now = f"color:{colour};font-weight:{700 if cell.bold else 400}" + (";text-decoration:underline" if cell.underscore else "")
        if now != style:
            text += ("</span>" if style else "") + f'<span style="{now}">'
            style = now
        text += html.escape(cell.data)
    return text + "</span>"


def main():
    out, timing, columns, rows, pattern = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), re.compile(sys.argv[5])
    recorded = open(out, "rb").read()
    recorded = recorded[recorded.index(b"\n") + 1:]
    screen = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    position, shown = 0, None
    for line in open(timing):
        length = int(line.split()[1])
        stream.feed(recorded[position:position + length])
        position += length
        if any(pattern.search(row) for row in screen.display):
            shown = [spans(screen.buffer[row], columns) for row in range(rows)]
    if shown is None:
        sys.exit(f"the terminal never showed {pattern.pattern}")
    lines = "\n".join(shown)
    print(f"""<!DOCTYPE html><meta charset="utf-8"><style>
body {{ margin: 0; background: #0d1117; }} pre {{ margin: 0; padding: 18px 22px; font: 15px/1.35 "DejaVu Sans Mono", monospace; color: #d7dde5; }}
</style><pre>{lines}</pre>""")


main()
