r"""The local API on a Windows named pipe, for the user who runs the agent only.

Owns the pipe's creation with its own security descriptor (this user and SYSTEM; nobody over the network), the accept
loop, and the SID at the other end. asyncio makes pipes with the default descriptor, which lets everybody read: that is
why instances are made here. Importable everywhere; works on Windows only. The SID is read from the client's process: a
process that ends while we look gives None.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Final

from aiohttp import web

from vaguemestre_core.errors import Conflict, StoreError

logger = logging.getLogger(__name__)

_PIPE_ACCESS_DUPLEX: Final = 0x00000003
_FILE_FLAG_OVERLAPPED: Final = 0x40000000
_FILE_FLAG_FIRST_PIPE_INSTANCE: Final = 0x00080000
_PIPE_REJECT_REMOTE_CLIENTS: Final = 0x00000008
_PIPE_UNLIMITED_INSTANCES: Final = 255
_BUFFER_BYTES: Final = 65536
_ERROR_ACCESS_DENIED: Final = 5
_ERROR_PIPE_BUSY: Final = 231
_TOKEN_QUERY: Final = 0x0008
_TOKEN_USER: Final = 1
_PROCESS_QUERY_LIMITED_INFORMATION: Final = 0x1000
_SDDL_REVISION_1: Final = 1
_INVALID_HANDLE: Final = -1
_ACCEPT_AGAIN_S: Final = 0.1

if sys.platform == "win32":
    import ctypes
    from asyncio import windows_events, windows_utils
    from ctypes import wintypes

    class _SecurityAttributes(ctypes.Structure):
        _fields_ = (
            ("nLength", wintypes.DWORD),
            ("lpSecurityDescriptor", wintypes.LPVOID),
            ("bInheritHandle", wintypes.BOOL),
        )

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
    _kernel32.CreateNamedPipeW.restype = wintypes.HANDLE
    _kernel32.CreateNamedPipeW.argtypes = (
        wintypes.LPCWSTR,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.POINTER(_SecurityAttributes),
    )
    _kernel32.OpenProcess.restype = wintypes.HANDLE
    _kernel32.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    _kernel32.GetCurrentProcess.restype = wintypes.HANDLE
    _kernel32.GetNamedPipeClientProcessId.argtypes = (wintypes.HANDLE, ctypes.POINTER(wintypes.ULONG))
    _kernel32.CloseHandle.argtypes = (wintypes.HANDLE,)
    _kernel32.LocalFree.argtypes = (wintypes.LPVOID,)
    _advapi32.OpenProcessToken.argtypes = (wintypes.HANDLE, wintypes.DWORD, ctypes.POINTER(wintypes.HANDLE))
    _advapi32.GetTokenInformation.argtypes = (
        wintypes.HANDLE,
        ctypes.c_int,
        wintypes.LPVOID,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    )
    _advapi32.ConvertSidToStringSidW.argtypes = (wintypes.LPVOID, ctypes.POINTER(wintypes.LPWSTR))
    _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW.argtypes = (
        wintypes.LPCWSTR,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.LPVOID),
        ctypes.POINTER(wintypes.ULONG),
    )

    def _process_sid(process: int) -> str | None:
        """Return the SID of a process's user, None when it cannot be read."""
        token = wintypes.HANDLE()
        if not _advapi32.OpenProcessToken(process, _TOKEN_QUERY, ctypes.byref(token)):
            return None
        try:
            size = wintypes.DWORD()
            _advapi32.GetTokenInformation(token, _TOKEN_USER, None, 0, ctypes.byref(size))
            buffer = ctypes.create_string_buffer(max(size.value, 1))
            if not _advapi32.GetTokenInformation(token, _TOKEN_USER, buffer, size, ctypes.byref(size)):
                return None
            # TOKEN_USER begins with SID_AND_ATTRIBUTES, which begins with the pointer to the SID.
            sid = ctypes.cast(buffer, ctypes.POINTER(wintypes.LPVOID)).contents
            text = wintypes.LPWSTR()
            if not _advapi32.ConvertSidToStringSidW(sid, ctypes.byref(text)):
                return None
            try:
                return text.value
            finally:
                _kernel32.LocalFree(ctypes.cast(text, wintypes.LPVOID))
        finally:
            _kernel32.CloseHandle(token)

    def current_sid() -> str | None:
        """Return the SID of this process's user."""
        return _process_sid(_kernel32.GetCurrentProcess())

    def pipe_client_sid(pipe: object) -> str | None:
        """Return the SID of the user at the other end of a pipe, None when the system does not say."""
        if not isinstance(pipe, windows_utils.PipeHandle):
            return None
        process_id = wintypes.ULONG()
        if not _kernel32.GetNamedPipeClientProcessId(pipe.handle, ctypes.byref(process_id)):
            return None
        process = _kernel32.OpenProcess(_PROCESS_QUERY_LIMITED_INFORMATION, False, process_id.value)
        if not process:
            return None
        try:
            return _process_sid(process)
        finally:
            _kernel32.CloseHandle(process)

    class _OwnedPipes(windows_events.PipeServer):
        """asyncio's pipe server, making instances that only this user may open, with its own accept loop.

        The loop's ``start_serving_pipe`` makes instances with the default descriptor and leaves no place to give
        another: ``accept`` does the same over instances made here, with the same three private parts of asyncio.
        """

        _address: str
        _free_instances: set[windows_utils.PipeHandle]
        _accept_pipe_future: asyncio.Future[windows_utils.PipeHandle] | None

        def __init__(self, address: str, loop: asyncio.ProactorEventLoop, factory: web.Server) -> None:
            sid = current_sid()
            if sid is None:
                raise StoreError("ENDPOINT_UNAVAILABLE", reason="no_sid")
            self._loop = loop
            self._factory = factory
            self._descriptor = wintypes.LPVOID()
            if not _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW(
                f"D:P(A;;GA;;;SY)(A;;GA;;;{sid})", _SDDL_REVISION_1, ctypes.byref(self._descriptor), None
            ):
                raise StoreError("ENDPOINT_UNAVAILABLE", reason="descriptor")
            super().__init__(address)

        def _server_pipe_handle(self, first: bool) -> windows_utils.PipeHandle | None:
            if self.closed():
                return None
            flags = _PIPE_ACCESS_DUPLEX | _FILE_FLAG_OVERLAPPED
            if first:
                flags |= _FILE_FLAG_FIRST_PIPE_INSTANCE
            attributes = _SecurityAttributes(ctypes.sizeof(_SecurityAttributes), self._descriptor, False)
            handle = _kernel32.CreateNamedPipeW(
                self._address,
                flags,
                _PIPE_REJECT_REMOTE_CLIENTS,
                _PIPE_UNLIMITED_INSTANCES,
                _BUFFER_BYTES,
                _BUFFER_BYTES,
                0,
                ctypes.byref(attributes),
            )
            if handle in (None, wintypes.HANDLE(_INVALID_HANDLE).value):
                code = ctypes.get_last_error()
                if first and code in (_ERROR_ACCESS_DENIED, _ERROR_PIPE_BUSY):
                    raise Conflict("AGENT_ALREADY_RUNNING")
                raise OSError(None, "CreateNamedPipeW", None, code)
            pipe = windows_utils.PipeHandle(handle)
            self._free_instances.add(pipe)
            return pipe

        def accept(self, previous: asyncio.Future[windows_utils.PipeHandle] | None = None) -> None:
            """Serve the client that came, and wait for the next one."""
            pipe: windows_utils.PipeHandle | None = None
            try:
                if previous is not None:
                    pipe = previous.result()
                    self._free_instances.discard(pipe)
                    if self.closed():
                        pipe.close()
                        return
                    self._serve(pipe)
                pipe = self._get_unconnected_pipe()  # type: ignore[attr-defined]
                if pipe is None:
                    return
                following = self._loop._proactor.accept_pipe(pipe)  # type: ignore[attr-defined]  # noqa: SLF001
            except asyncio.CancelledError:
                _close(pipe)
            except OSError as failed:
                _close(pipe)
                if not self.closed():
                    logger.warning("api.pipe_accept_failed", extra={"winerror": failed.winerror})
                    self._loop.call_later(_ACCEPT_AGAIN_S, self.accept)
            else:
                self._accept_pipe_future = following
                following.add_done_callback(self.accept)

        def _serve(self, pipe: windows_utils.PipeHandle) -> None:
            self._loop._make_duplex_pipe_transport(  # type: ignore[attr-defined]  # noqa: SLF001
                pipe, self._factory(), extra={"addr": self._address, "pipe": pipe}
            )

        def close(self) -> None:
            super().close()
            if self._descriptor.value:
                _kernel32.LocalFree(self._descriptor)
                self._descriptor = wintypes.LPVOID()

    def _close(pipe: windows_utils.PipeHandle | None) -> None:
        if pipe is not None and pipe.handle is not None:
            pipe.close()

    class _PipeSite(web.BaseSite):
        """aiohttp's site over those pipes."""

        def __init__(self, runner: web.ServerRunner, address: str) -> None:
            super().__init__(runner)
            self._address = address

        @property
        def name(self) -> str:
            return self._address

        async def start(self) -> None:
            await super().start()
            loop = asyncio.get_running_loop()
            if not isinstance(loop, asyncio.ProactorEventLoop):
                raise StoreError("ENDPOINT_UNAVAILABLE", reason="loop")
            assert self._runner.server is not None
            pipes = _OwnedPipes(self._address, loop, self._runner.server)
            self._server = pipes  # type: ignore[assignment]  # as asyncio's own: only close() is asked of it
            loop.call_soon(pipes.accept)

    class PipeTransport:
        r"""A named pipe that only this user may use.

        Args:
            address: the pipe's name, ``\\.\pipe\…``.
        """

        def __init__(self, address: str) -> None:
            self._address = address
            self._site: _PipeSite | None = None

        async def open(self, runner: web.ServerRunner) -> None:
            """Listen. Raises Conflict AGENT_ALREADY_RUNNING, StoreError ENDPOINT_UNAVAILABLE."""
            site = _PipeSite(runner, self._address)
            try:
                await site.start()
            except OSError as failed:
                raise StoreError("ENDPOINT_UNAVAILABLE", errno=failed.errno) from failed
            self._site = site

        async def close(self) -> None:
            """Stop listening."""
            if self._site is not None:
                await self._site.stop()
                self._site = None
