"""Who is at the other end of a connection, as the operating system says it: ``uid:1000``, ``S-1-5-…``, or None.

Owns the reading of peer credentials only; the services compare it with what pairing recorded. On Linux SO_PEERCRED, on
macOS LOCAL_PEERCRED, on Windows the token of the pipe's client process.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import Final

_SO_PEERCRED: Final = 17  # Linux: struct ucred {pid, uid, gid}
_SOL_LOCAL: Final = 0  # macOS
_LOCAL_PEERCRED: Final = 1  # struct xucred {version, uid, ngroups, …}


def peer_identity(transport: asyncio.BaseTransport | None) -> str | None:
    """Return the system user at the other end, or None when the system does not say."""
    if transport is None:
        return None
    if sys.platform == "win32":
        from vaguemestre_agent.localapi.windowspipe import pipe_client_sid

        return pipe_client_sid(transport.get_extra_info("pipe"))
    else:  # noqa: RET505 - the type checker reads the branch of one system only
        return _socket_uid(transport)


def _socket_uid(transport: asyncio.BaseTransport) -> str | None:
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != getattr(socket, "AF_UNIX", None):
        return None
    try:
        if sys.platform == "darwin":
            _, uid = struct.unpack("=II", sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76)[:8])
        else:
            _, uid, _ = struct.unpack("=iII", sock.getsockopt(socket.SOL_SOCKET, _SO_PEERCRED, 12))
    except OSError:
        return None
    return f"uid:{uid}"
