"""Sends 64 clients to a server for some minutes: sound uploads, slow ones, broken ones and hostile ones.

serve_clients.py HOST:PORT PROCESS MINUTES CLIP...: prints the server's memory and open files, minute by minute, and what it answered; ends
with 1 if an answer was no JSON, the server died, or its memory (the median of a third of the time) grew by more than a twentieth and 10 MB
from the middle third to the last.
"""
import collections
import json
import os
import random
import socket
import sys
import threading
import time

host, port = sys.argv[1].split(":")
process, minutes, clips = sys.argv[2], float(sys.argv[3]), [open(name, "rb").read() for name in sys.argv[4:]]
process = next(iter(open(f"/proc/{process}/task/{process}/children").read().split()), process)
end = time.time() + 60 * minutes
answers, faults = collections.Counter(), []


def connect():
    return socket.create_connection((host, int(port)), timeout=60)


def answer(connection):
    data = b""
    while True:
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head.startswith(b"HTTP/") else 0
    answers[status] += 1
    if status and b"application/json" in head:
        return status, json.loads(body or b"null")
    if status and body and b"image/png" not in head and b"text/html" not in head:
        faults.append(f"{status} is no JSON: {body[:80]!r}")
    return status, None


def request(head, body=b"", pause=0.0):
    with connect() as connection:
        connection.sendall(head)
        step = max(1, len(body) // 20) if pause else max(1, len(body))
        for start in range(0, len(body), step):
            connection.sendall(body[start:start + step])
            time.sleep(pause)
        return answer(connection)


def upload(body, length=None, pause=0.0):
    head = f"POST /api/videos?name=clip.mp4 HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
    return request((head + f"Content-Length: {len(body) if length is None else length}\r\n\r\n").encode(), body, pause)


def get(path, verb="GET"):
    return request(f"{verb} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())


def sound(draw):
    status, job = upload(draw.choice(clips))
    if status == 202:
        for _ in range(600):
            state = get(f"/api/videos/{job['id']}")[1] or {}
            if state.get("state") in ("done", "failed") or time.time() > end:
                break
            time.sleep(0.5)
        get(f"/api/videos/{job['id']}", "DELETE")
    else:
        time.sleep(draw.uniform(0.5, 3))


def slow(draw):
    upload(draw.choice(clips), pause=draw.uniform(0.05, 0.3))


def broken(draw):
    body = bytearray(draw.choice(clips))
    for _ in range(draw.randrange(1, 200)):
        body[draw.randrange(len(body))] = draw.randrange(256)
    upload(bytes(body[:draw.randrange(1, len(body))]))


def leaving(draw):
    body = draw.choice(clips)
    with connect() as connection:
        connection.sendall(f"POST /api/videos HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        connection.sendall(body[:draw.randrange(len(body))])


def hostile(draw):
    choice = draw.randrange(6)
    if choice == 0:
        request(bytes(draw.randrange(256) for _ in range(draw.randrange(1, 4000))) + b"\r\n\r\n")
    elif choice == 1:
        get("/" + "../" * draw.randrange(1, 40) + "etc/passwd")
    elif choice == 2:
        request(f"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nX: {'a' * draw.randrange(100000)}\r\n\r\n".encode())
    elif choice == 3:
        upload(b"x", length=10**15)
    elif choice == 4:
        get(f"/api/videos/{draw.getrandbits(128):032x}/frames/{draw.randrange(-5, 10**9)}.png")
    else:
        body = b"--b\r\nContent-Disposition: form-data; name=a; filename=\"" + b"\xff" * 300 + b"\"\r\n\r\n" + bytes(draw.randrange(3000)) + b"\r\n--b--"
        request(f"POST /api/videos HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode(), body)


def client(number):
    draw = random.Random(number)
    kind = [sound, sound, sound, slow, broken, leaving, hostile, hostile][number % 8]
    while time.time() < end:
        try:
            kind(draw)
        except (OSError, ValueError) as error:
            answers[type(error).__name__] += 1
        time.sleep(draw.uniform(0, 0.5))


for number in range(64):
    threading.Thread(target=client, args=(number,), daemon=True).start()
memory = []
while time.time() < end:
    time.sleep(min(60, max(1, end - time.time())))
    if not os.path.exists(f"/proc/{process}"):
        sys.exit("the server has died")
    resident = next(int(line.split()[1]) for line in open(f"/proc/{process}/status") if line.startswith("VmRSS"))
    memory.append(resident)
    print(f"{resident} kB resident, {len(os.listdir(f'/proc/{process}/fd'))} open files, {sum(answers.values())} answers", flush=True)
print(dict(answers))
third = max(1, len(memory) // 3)
middle, late = (sorted(part)[len(part) // 2] for part in (memory[third:2 * third] or memory, memory[-third:]))
if late > 1.05 * middle + 10000:
    sys.exit(f"its memory grew from {middle} kB in the middle third to {late} kB in the last")
if faults:
    sys.exit("\n".join(sorted(set(faults))[:10]))
