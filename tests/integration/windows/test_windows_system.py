"""What only Windows has: the pipe's access list, the SID at its other end, Credential Manager, the lock, the clock.

Runs under a Windows Python only (docs/windows.md); elsewhere skipped.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from vaguemestre_agent.adapters.keystore.stores import SystemKeyStore, load_keys
from vaguemestre_agent.adapters.system.clock import SystemClock
from vaguemestre_agent.adapters.system.random import SystemRandom
from vaguemestre_agent.localapi.lock import AgentLock
from vaguemestre_api.client import Client
from vaguemestre_api.endpoint import Endpoint
from vaguemestre_api.failures import AgentNotRunning, ApiProblem
from vaguemestre_core.errors import Conflict, StoreError
from vaguemestre_core.redaction import SecretBytes
from vaguemestre_testkit.api_harness import MemoryHarness, paired
from vaguemestre_testkit.api_server import serving
from vaguemestre_testkit.memory_backend import MemoryBackend
from vaguemestre_testkit.raw_stream import api_address

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="needs a Windows Python (docs/windows.md)")

if sys.platform == "win32":
    import _winapi
    import ctypes
    from ctypes import wintypes

    from vaguemestre_agent.localapi.windowspipe import current_sid

    def access_list(pipe: str) -> str:
        """Return the access list of a pipe as the system tells it, in SDDL."""
        advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
        read_control, dacl, kernel_object = 0x00020000, 4, 6
        handle = _winapi.CreateFile(pipe, read_control | 0x80000000 | 0x40000000, 0, 0, 3, 0, 0)
        try:
            found = wintypes.LPVOID()
            status = advapi32.GetSecurityInfo(
                wintypes.HANDLE(handle), kernel_object, dacl, None, None, None, None, ctypes.byref(found)
            )
            assert status == 0
            text = wintypes.LPWSTR()
            assert advapi32.ConvertSecurityDescriptorToStringSecurityDescriptorW(
                found, 1, dacl, ctypes.byref(text), None
            )
            return str(text.value)
        finally:
            _winapi.CloseHandle(handle)

    def first_instance_is_enforced() -> bool:
        """Say whether the system itself refuses a second owner, asked without any of our code."""
        name = rf"\\.\pipe\vaguemestre-probe-{uuid.uuid4().hex}"
        duplex, overlapped, first = 3, 0x40000000, 0x80000
        handles = [_winapi.CreateNamedPipe(name, duplex | overlapped | first, 0, 255, 512, 512, 0, 0)]
        try:
            handles.append(_winapi.CreateNamedPipe(name, duplex | overlapped | first, 0, 255, 512, 512, 0, 0))
        except OSError:
            return True
        finally:
            for handle in handles:
                _winapi.CloseHandle(handle)
        return False

    async def test_only_this_user_and_the_system_are_on_the_list() -> None:
        with api_address() as address:
            async with serving(MemoryBackend(), address):
                told = await asyncio.to_thread(access_list, str(address))

        entries = {tuple(entry.split(";")) for entry in told.partition("(")[2].rstrip(")").split(")(")}
        assert {entry[0] for entry in entries} == {"A"}
        assert {entry[5] for entry in entries} == {"SY", str(current_sid())}

    async def test_the_peer_is_who_the_system_says() -> None:
        harness = MemoryHarness()
        with api_address() as address:
            async with (
                serving(harness.backend, address),
                await paired(harness, address, os_identity=current_sid()) as same,
                await paired(harness, address, os_identity="S-1-5-21-1-2-3-1001", name="Autre") as other,
            ):
                assert (await same.orders()).orders == ()
                with pytest.raises(ApiProblem):
                    await other.orders()

else:

    def first_instance_is_enforced() -> bool:
        """Elsewhere there is no pipe."""
        return False


async def test_a_second_agent_cannot_own_the_name() -> None:
    if not first_instance_is_enforced():
        pytest.skip("this system ignores FILE_FLAG_FIRST_PIPE_INSTANCE (wine 8 does)")
    with api_address() as address:
        async with serving(MemoryBackend(), address):
            with pytest.raises(Conflict, match="AGENT_ALREADY_RUNNING"):
                async with serving(MemoryBackend(), address):
                    pytest.fail("a second agent listens")
            async with Client(Endpoint(address=str(address))) as client:
                assert (await client.health()).ready


async def test_the_name_is_free_again_after_the_agent() -> None:
    with api_address() as address:
        for _ in range(3):
            async with serving(MemoryBackend(), address), Client(Endpoint(address=str(address))) as client:
                assert (await client.health()).ready
        async with Client(Endpoint(address=str(address))) as client:
            with pytest.raises(AgentNotRunning):
                await client.health()


async def test_many_clients_at_once() -> None:
    with api_address() as address:
        async with serving(MemoryBackend(), address), asyncio.timeout(30):

            async def ask() -> bool:
                async with Client(Endpoint(address=str(address))) as client:
                    return (await client.health()).ready

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask()) for _ in range(20)]
        assert all(task.result() for task in tasks)


def test_secrets_are_kept_in_credential_manager() -> None:
    account = f"test-{uuid.uuid4().hex}"
    store = SystemKeyStore(account)
    assert store.get("absent") is None
    store.put("one", SecretBytes(bytes(range(64))))
    found = SystemKeyStore(account).get("one")
    assert found is not None
    assert found.reveal() == bytes(range(64))
    made = load_keys(store, SystemRandom(), store_exists=False)
    again = load_keys(SystemKeyStore(account), SystemRandom(), store_exists=True)
    assert again.identity.reveal() == made.identity.reveal()
    with pytest.raises(StoreError, match="KEYS_LOST"):
        load_keys(SystemKeyStore(account + "-other"), SystemRandom(), store_exists=True)


def test_the_lock_is_for_one_and_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    endpoint = Endpoint(address="x", lock=path)
    lock = AgentLock(path)
    assert not endpoint.agent_lives()
    code = (
        "import sys; from pathlib import Path; from vaguemestre_agent.localapi.lock import AgentLock;"
        "lock = AgentLock(Path(sys.argv[1])); lock.take(); print('taken', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"taken"
        assert endpoint.agent_lives()
        with pytest.raises(Conflict, match="AGENT_ALREADY_RUNNING"):
            lock.take()
        holder.kill()
        holder.wait(timeout=20)
    lock.take()
    assert endpoint.agent_lives()
    lock.free()
    assert not endpoint.agent_lives()


def test_the_boot_clock_runs() -> None:
    clock = SystemClock()
    assert clock.boot_s() > 0
    assert clock.boot_id() == SystemClock().boot_id()
