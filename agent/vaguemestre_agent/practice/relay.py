"""Stands for the agent's worker: hands its standard input and output to a warm process that forks the real worker.

Run by path with ``-I -S``, standard library only, so that it starts in a few milliseconds. Its arguments: the warm
process's socket, then the worker's arguments. It ends when the worker does.
"""

from __future__ import annotations

import json
import socket
import sys

if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        socket.send_fds(connection, [json.dumps(sys.argv[2:]).encode()], [0, 1])
        sys.stdin.close()
        sys.stdout.close()
        connection.recv(1)
