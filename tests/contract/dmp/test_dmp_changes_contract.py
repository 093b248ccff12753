"""One contract for every DmpPort: deletion, visibility and replacement of a document that is there."""

from __future__ import annotations

import pytest

from vaguemestre_core.errors import Conflict
from vaguemestre_core.orders import WaitReason
from vaguemestre_core.outcomes import Certainty, Outcome, Presence
from vaguemestre_documents.codes import Visibility
from vaguemestre_documents.prepared import PreparedDocument
from vaguemestre_testkit.dmp_bench import CHANGE_FAILURES, OTHER_ID, Bench, Counted, Opener, submit
from vaguemestre_testkit.sendings import frozen_ids, prepared


@pytest.mark.req("SC.DMP/ALI/PROG.02")
async def test_a_replacement_puts_the_old_version_out_of_force_and_may_be_replaced_in_turn(bench: Opener) -> None:
    async with bench() as on:
        first = prepared()
        second = prepared(OTHER_ID, replaces=PreparedDocument.from_bytes(first).entry.unique_id)
        await submit(on, first)
        # A change of visibility gives the predecessor another entryUUID: the replacement names the one of now.
        changed = await change_visibility(on, first, {"MASQUE_PS"}, number=5)
        assert changed.certainty is Certainty.DELIVERED
        assert (await submit(on, second, number=2)).certainty is Certainty.DELIVERED
        third = prepared(OTHER_ID + ".3", replaces=OTHER_ID)
        assert (await submit(on, third, number=3)).certainty is Certainty.DELIVERED
        assert on.bodies() == 3
        assert on.changes() == ["TD3.3a/b"]


async def delete(on: Bench, container: bytes, number: int = 4, commit: Counted | None = None) -> Outcome:
    return await on.port.delete(container, frozen_ids(number), on.context, commit or Counted())


async def change_visibility(
    on: Bench, container: bytes, codes: set[str], number: int = 4, commit: Counted | None = None
) -> Outcome:
    ids = frozen_ids(number)
    return await on.port.set_visibility(container, frozenset(codes), ids, on.context, commit or Counted())


async def test_a_deletion_is_done_once_and_found(bench: Opener) -> None:
    async with bench() as on:
        await submit(on, prepared())
        commit = Counted()
        outcome = await delete(on, prepared(), commit=commit)
        assert (outcome.certainty, outcome.code, commit.calls) == (Certainty.DELIVERED, "OK", 1)
        assert ("submission_set_id", frozen_ids(4).submission_set_id) in outcome.receipt
        found = await on.port.look_up(prepared(), on.context)
        assert (found.presence, found.is_deleted) == (Presence.SAME, True)
        again = Counted()
        outcome = await delete(on, prepared(), number=6, commit=again)
        assert (outcome.certainty, outcome.code) == (Certainty.DELIVERED, "DMP_ALREADY_DELETED")
        outcome = await change_visibility(on, prepared(), {"MASQUE_PS"}, number=7, commit=again)
        assert (outcome.certainty, outcome.code) == (Certainty.REFUSED, "DMP_NOTHING_TO_CHANGE")
        assert again.calls == 0
        assert (on.bodies(), on.changes()) == (1, ["TD3.3c"])


async def test_what_is_not_there_is_neither_deleted_nor_changed(bench: Opener) -> None:
    async with bench() as on:
        commit = Counted()
        outcome = await delete(on, prepared(), commit=commit)
        assert (outcome.certainty, outcome.code) == (Certainty.REFUSED, "DMP_NOTHING_TO_DELETE")
        outcome = await change_visibility(on, prepared(), {"MASQUE_PS"}, commit=commit)
        assert (outcome.certainty, outcome.code) == (Certainty.REFUSED, "DMP_NOTHING_TO_CHANGE")
        assert (commit.calls, on.changes()) == (0, [])


async def test_a_refused_commitment_changes_nothing(bench: Opener) -> None:
    async with bench() as on:
        await submit(on, prepared())
        error = Conflict("STATE_CHANGED")
        for attempt in (
            delete(on, prepared(), commit=Counted(error)),
            change_visibility(on, prepared(), {"MASQUE_PS"}, commit=Counted(error)),
        ):
            with pytest.raises(Conflict) as caught:
                await attempt
            assert caught.value is error
        found = await on.port.look_up(prepared(), on.context)
        assert (found.is_deleted, found.visibility, on.changes()) == (False, frozenset(), [])


async def test_masking_and_unmasking_give_new_versions_and_keep_the_logical_id(bench: Opener) -> None:
    async with bench() as on:
        await submit(on, prepared())
        before = await on.port.look_up(prepared(), on.context)
        assert (await change_visibility(on, prepared(), {"MASQUE_PS"})).code == "OK"
        masked = await on.port.look_up(prepared(), on.context)
        assert (masked.presence, masked.visibility, masked.version) == (Presence.SAME, frozenset({"MASQUE_PS"}), 2)
        assert masked.logical_id == before.logical_id
        assert masked.entry_uuid != before.entry_uuid
        same = Counted()
        outcome = await change_visibility(on, prepared(), {"MASQUE_PS"}, number=6, commit=same)
        assert (outcome.certainty, outcome.code) == (Certainty.DELIVERED, "DMP_VISIBILITY_ALREADY_SO")
        assert same.calls == 0
        assert (await change_visibility(on, prepared(), set(), number=7)).code == "OK"
        unmasked = await on.port.look_up(prepared(), on.context)
        assert (unmasked.visibility, unmasked.version) == (frozenset(), 3)
        assert (await delete(on, prepared(), number=8)).code == "OK"


async def test_a_document_is_made_visible_and_never_hidden_again(bench: Opener) -> None:
    async with bench() as on:
        hidden = frozenset({Visibility.INVISIBLE_PATIENT, Visibility.INVISIBLE_REPRESENTANTS_LEGAUX})
        container = prepared(visibility=hidden)
        assert (await submit(on, container)).code == "OK"
        assert (await on.port.look_up(container, on.context)).visibility == {code.value for code in hidden}
        assert (await change_visibility(on, container, {"INVISIBLE_REPRESENTANTS_LEGAUX"})).code == "OK"
        commit = Counted()
        outcome = await change_visibility(on, container, {"INVISIBLE_PATIENT"}, number=6, commit=commit)
        assert (outcome.certainty, outcome.code) == (Certainty.REFUSED, "DMP_CANNOT_HIDE_AGAIN")
        assert commit.calls == 0


@pytest.mark.parametrize("codes", [{"INVISIBLE_PATIENT", "MASQUE_PS"}, {"JAMAIS_VU"}])
async def test_a_forbidden_visibility_is_refused_without_asking_anybody(bench: Opener, codes: set[str]) -> None:
    async with bench() as on:
        await submit(on, prepared())
        commit = Counted()
        outcome = await change_visibility(on, prepared(), codes, commit=commit)
        assert (outcome.certainty, outcome.code) == (Certainty.REFUSED, "VISIBILITY_COMBINATION_FORBIDDEN")
        assert (commit.calls, on.changes()) == (0, [])


# failure → certainty, code, whether the change was applied
CHANGES: dict[str, tuple[Certainty, str, bool]] = {
    "cut_after_storing": (Certainty.DOUBT, "", True),
    "cut_before_storing": (Certainty.DOUBT, "", False),
    "unavailable_after_storing": (Certainty.DOUBT, "DMP_HTTP_504", True),
    "garbage_after_storing": (Certainty.DOUBT, "DMP_ANSWER_UNREADABLE", True),
    "service_fault": (Certainty.DOUBT, "DMP_SERVICE_FAULT", False),
    "busy": (Certainty.NOT_SENT, "DMP_REGISTRY_BUSY", False),
    "version": (Certainty.NOT_SENT, "DMP_VERSION_CHANGED", False),
    "not_ours": (Certainty.REFUSED, "DMP_ACCESS_DENIED", False),
    "unknown_entry": (Certainty.REFUSED, "DMP_CHANGE_REFUSED", False),
}


@pytest.mark.parametrize("failure", CHANGE_FAILURES)
async def test_what_a_failure_of_a_deletion_lets_us_know_and_what_the_lookup_says(bench: Opener, failure: str) -> None:
    certainty, code, is_applied = CHANGES[failure]
    async with bench() as on:
        await submit(on, prepared())
        on.fail_next_change(failure)
        commit = Counted()
        outcome = await delete(on, prepared(), commit=commit)
        assert (outcome.certainty, commit.calls) == (certainty, 1)
        assert not code or outcome.code == code
        found = await on.port.look_up(prepared(), on.context)
        assert (found.presence, found.is_deleted) == (Presence.SAME, is_applied)
        # The same order again, once the lookup has settled the doubt: done, or already done.
        outcome = await delete(on, prepared())
        assert outcome.certainty is Certainty.DELIVERED
        assert outcome.code == ("DMP_ALREADY_DELETED" if is_applied else "OK")
        assert on.changes() == ["TD3.3c"]


async def test_a_change_of_visibility_cut_after_storing_is_a_doubt_settled_by_the_lookup(bench: Opener) -> None:
    async with bench() as on:
        await submit(on, prepared())
        on.fail_next_change("cut_after_storing")
        assert (await change_visibility(on, prepared(), {"MASQUE_PS"})).certainty is Certainty.DOUBT
        assert (await on.port.look_up(prepared(), on.context)).visibility == {"MASQUE_PS"}
        assert (await change_visibility(on, prepared(), {"MASQUE_PS"})).code == "DMP_VISIBILITY_ALREADY_SO"


async def test_a_change_with_nobody_there_is_not_sent(bench: Opener) -> None:
    async with bench() as on:
        await submit(on, prepared())
        await on.unreachable()
        commit = Counted()
        outcome = await delete(on, prepared(), commit=commit)
        assert (outcome.certainty, outcome.waiting, commit.calls) == (Certainty.NOT_SENT, WaitReason.NETWORK, 0)
