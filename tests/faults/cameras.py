"""Simulates eight cameras on loopback, watches who watches them, and prints its memory minute by minute.

cameras.py ADDRESSES: writes a table of the cameras, named ADDRESSES, and serves them: three by HTTP, one as MJPEG, one as HLS, two that
break off at random and stay away for a while, and one that does whatever is wrong. CLIP, HOST:PORT of the server that watches them, its
PROCESS and MINUTES come on standard input, in a line. Ends with 1 if the server died, if a camera that is well was not answered for in
each minute, or if the server's own memory (the median of a third of the time) grew by more than a twentieth and 5 MB from the middle third
to the last.
"""
import collections
import http.server
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

KINDS = ["ts", "ts", "ts", "mjpeg", "hls", "flapping", "flapping", "hostile"]
draw, away, tricks = random.Random(1), {}, collections.Counter()
folder = tempfile.TemporaryDirectory()


def encoder(*output, speed="-re"):
    return subprocess.Popen(["ffmpeg", "-v", "quiet", speed, "-stream_loop", "-1", "-i", clip, "-an", *output], stdout=subprocess.PIPE)


TS = ["-c", "copy", "-f", "mpegts", "-"]


def playlists():
    while True:
        encoder("-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_list_size", "5", "-hls_flags", "delete_segments+omit_endlist",
                os.path.join(folder.name, "4.m3u8")).wait()


class Camera(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def begin(self, status, kind, **more):
        self.send_response(status)
        for name, value in {"Content-Type": kind, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def pipe(self, process, until=float("inf"), change=lambda data: data):
        try:
            while time.time() < until and (data := process.stdout.read1(65536)):
                self.wfile.write(change(data))
        finally:
            process.kill()
            process.wait()

    def do_GET(self):
        try:
            self.answer(self.path.strip("/").partition(".")[0])
        except OSError:
            pass

    def answer(self, name):
        number = int(name[:1])
        kind = KINDS[number]
        if kind == "hls":
            with open(os.path.join(folder.name, os.path.basename(self.path)), "rb") as file:
                data = file.read()
            self.begin(200, "application/vnd.apple.mpegurl" if self.path.endswith("m3u8") else "video/mp2t")
            self.wfile.write(data)
        elif kind == "mjpeg":
            self.begin(200, "multipart/x-mixed-replace;boundary=ffmpeg")
            self.pipe(encoder("-c:v", "mjpeg", "-q:v", "5", "-f", "mpjpeg", "-"))
        elif kind == "flapping" and time.time() < away.get(number, 0):
            self.begin(503, "text/plain")
        elif kind == "hostile":
            self.trick(draw.randrange(10))
        else:
            self.begin(200, "video/mp2t")
            self.pipe(encoder(*TS), time.time() + draw.uniform(2, 40) if kind == "flapping" else float("inf"))
            away[number] = time.time() + draw.uniform(0, 15)

    def trick(self, which):
        tricks[which] += 1
        if which == 0:
            self.begin(200, "video/mp2t")
            for _ in range(3000):
                self.wfile.write(os.urandom(10000))
        elif which == 1:
            self.begin(200, "video/mp2t")
            time.sleep(60)
        elif which == 2:
            for _ in range(20000):
                self.wfile.write(b"X-Header: " + b"y" * 1000 + b"\r\n")
        elif which == 3:
            self.begin(401, "text/plain", **{"WWW-Authenticate": "Basic realm=x"})
        elif which == 4:
            self.begin(302, "text/plain", Location=draw.choice(["/7", "file:///etc/passwd", "rtsp://127.0.0.1:1/", "http://[::"]))
        elif which == 5:
            self.begin(200, "application/vnd.apple.mpegurl")
            self.wfile.write(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/passwd\n#EXTINF:2,\n/7.ts\n")
        elif which == 6:
            self.begin(200, "video/mp2t")
            self.pipe(encoder(*TS), time.time() + 20, lambda data: bytes(b ^ (draw.random() < 0.0005) * 255 for b in data))
        elif which == 7:
            self.begin(200, "video/mp2t")
            for size in ["320:240", "64:48", "800:600"]:
                self.pipe(encoder("-vf", f"scale={size}", "-c:v", "mpeg2video", "-f", "mpegts", "-"), time.time() + 6)
        elif which == 8:
            self.begin(200, "video/mp2t")
            self.pipe(encoder(*TS, speed="-copyts"), time.time() + 15)
        else:
            self.begin(200, "text/html")
            self.wfile.write(b"<html>log in</html>")


def status(process):
    with open(f"/proc/{process}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
with open(sys.argv[1], "w") as table:
    table.write("name,address\n")
    for number, kind in enumerate(KINDS):
        suffix = ".m3u8" if kind == "hls" else ""
        table.write(f"{kind} {number},http://user:secret@127.0.0.1:{server.server_port}/{number}{suffix}\n")
clip, watching, process, minutes = input().split("\t")
threading.Thread(target=server.serve_forever, daemon=True).start()
threading.Thread(target=playlists, daemon=True).start()

print("minute, own memory in kB, open files, threads; of each camera: windows answered, thinned, times connected", flush=True)
memory, before = [], [0] * len(KINDS)
for minute in range(1, int(minutes) + 1):
    time.sleep(60)
    try:
        memory.append(status(process))
        counts = [len(os.listdir(f"/proc/{process}/{what}")) for what in ("fd", "task")]
    except FileNotFoundError:
        sys.exit("the server has died")
    with urllib.request.urlopen(f"http://{watching}/api/cameras") as answer:
        cameras = json.load(answer)["cameras"]
    now = [camera["windows"] + camera["skipped"] for camera in cameras]
    print(minute, memory[-1], *counts, *(f"{c['windows']}/{c['skipped']}/{c['connections']}" for c in cameras), sep=", ", flush=True)
    for number, kind in enumerate(KINDS):
        if minute > 1 and kind in ("ts", "mjpeg", "hls") and now[number] <= before[number]:
            sys.exit(f"camera {number} ({kind}) was not answered for in minute {minute}: {cameras[number]}")
    before = now
print("what the hostile camera did:", dict(sorted(tricks.items())))
third = max(1, len(memory) // 3)
middle, late = (sorted(part)[len(part) // 2] for part in (memory[third:2 * third] or memory, memory[-third:]))
print(f"own memory: {middle} kB in the middle third, {late} kB in the last (medians)")
if late > 1.05 * middle + 5000:
    sys.exit("it grew")
