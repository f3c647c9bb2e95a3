#!/bin/bash
# Whether a server on this machine answers: 0 if GET /api/health does so with 200. By bash alone, so that an image needs no HTTP client.
#   health.sh [PORT]
exec 3<>"/dev/tcp/127.0.0.1/${1:-8080}" || exit 1
printf 'GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r -t 4 _ status _ <&3
[ "$status" = 200 ]
