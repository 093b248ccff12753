"""Where an agent lives on each system: settings, state, sockets and logs. The only module that knows paths.

``VAGUEMESTRE_HOME`` puts everything under one folder. Otherwise the XDG folders on Linux, the Library folders on macOS,
the local application data on Windows; a machine service lives under the system's own folders.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaguemestre_api.endpoint import PIPE_PREFIX, Endpoint

HOME_VARIABLE: Final = "VAGUEMESTRE_HOME"
SERVICE_VARIABLE: Final = "VAGUEMESTRE_SERVICE"  # set by the unit of the machine service
NAME: Final = "vaguemestre"
LONGEST_SOCKET_PATH: Final = 100  # bytes; the systems allow 103 to 107


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPaths:
    """Paths of one agent.

    Attributes:
        config: folder of ``agent.toml``.
        state: folder of the queue, its keys and its marker.
        endpoint: where it listens, with its lock.
        first_code: file of the first pairing code.
        credentials: file of what pairing gave to this user's command line.
    """

    config: Path
    state: Path
    endpoint: Endpoint
    first_code: Path
    credentials: Path

    @property
    def lock(self) -> Path:
        """The file that a living agent keeps locked."""
        assert self.endpoint.lock is not None
        return self.endpoint.lock


def agent_paths(environment: Mapping[str, str]) -> AgentPaths:
    """Return the paths that an environment gives; creates nothing."""
    home = environment.get(HOME_VARIABLE)
    if home:
        folder = Path(home).absolute()
        return _paths(folder, folder / "state", folder / "run")
    if environment.get(SERVICE_VARIABLE):
        return _paths(*_service_folders(environment))
    return _paths(*_user_folders(environment))


def _paths(config: Path, state: Path, runtime: Path) -> AgentPaths:
    return AgentPaths(
        config=config,
        state=state,
        endpoint=Endpoint(address=_address(runtime), lock=state / "agent.lock"),
        first_code=state / "first-pairing-code",
        credentials=config / "credentials.json",
    )


def _address(runtime: Path) -> str:
    mark = hashlib.sha256(os.fsencode(runtime)).hexdigest()[:16]
    if sys.platform == "win32":
        return f"{PIPE_PREFIX}{NAME}-{mark}"
    path = runtime / "agent.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return str(path)
    return str(Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}-{mark}" / "agent.sock")


def _user_folders(environment: Mapping[str, str]) -> tuple[Path, Path, Path]:
    home = Path.home()
    if sys.platform == "win32":
        local = Path(environment.get("LOCALAPPDATA", home / "AppData" / "Local")) / "Vaguemestre"
        return local / "config", local / "state", local / "run"
    if sys.platform == "darwin":
        support = home / "Library" / "Application Support" / "Vaguemestre"
        return support / "config", support / "state", support / "run"
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / NAME
    state = Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state") / NAME
    runtime = environment.get("XDG_RUNTIME_DIR")
    return config, state, Path(runtime) / NAME if runtime else state / "run"


def _service_folders(environment: Mapping[str, str]) -> tuple[Path, Path, Path]:
    if sys.platform == "win32":
        shared = Path(environment.get("PROGRAMDATA", "C:/ProgramData")) / "Vaguemestre"
        return shared / "config", shared / "state", shared / "run"
    if sys.platform == "darwin":
        shared = Path("/Library/Application Support/Vaguemestre")
        return shared / "config", shared / "state", Path("/var/run") / NAME
    return Path("/etc") / NAME, Path("/var/lib") / NAME, Path("/run") / NAME
