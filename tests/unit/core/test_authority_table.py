"""What each means may do, for every transaction and every kind of order."""

from __future__ import annotations

import pytest

from vaguemestre_core.authority import PREFERENCE, RIGHTS, feeding_of, kinds_of, may, transactions_of
from vaguemestre_core.orders import OrderKind
from vaguemestre_core.purposes import DmpTransaction, Purpose, allows
from vaguemestre_core.records import AuthorityMeans

PERSONAL = (AuthorityMeans.PSC, AuthorityMeans.CPS)
IMPUTED = (AuthorityMeans.CPE, AuthorityMeans.STRUCTURE)


def test_every_means_has_rights_and_a_rank() -> None:
    assert set(RIGHTS) == set(AuthorityMeans) == set(PREFERENCE)
    assert len(PREFERENCE) == len(AuthorityMeans)


@pytest.mark.req("SC.DMP/CONF.22")
@pytest.mark.parametrize("means", IMPUTED)
def test_what_is_imputed_to_the_structure_consults_and_hides_nothing(means: AuthorityMeans) -> None:
    for transaction in RIGHTS[means]:
        assert allows(transaction, Purpose.FEEDING)
    for refused in (
        DmpTransaction.TD0_3,
        DmpTransaction.TD3_1,
        DmpTransaction.TD3_2,
        DmpTransaction.TD3_3A,
        DmpTransaction.TD3_3B,
        DmpTransaction.TD3_3D,
    ):
        assert not may(means, refused)
    assert kinds_of(means) == {OrderKind.DMP_SUBMIT, OrderKind.DMP_REPLACE, OrderKind.DMP_DELETE}


@pytest.mark.parametrize("means", PERSONAL)
def test_a_professional_in_his_own_name_may_do_all_but_the_employees_transaction(means: AuthorityMeans) -> None:
    assert {item for item in DmpTransaction if not may(means, item)} == {DmpTransaction.TD2_2}
    assert {kind for kind in OrderKind if kind.service == "dmp"} <= kinds_of(means)


def test_only_a_cpe_feeds_by_the_employees_transaction() -> None:
    assert {means for means in AuthorityMeans if feeding_of(means) is DmpTransaction.TD2_2} == {AuthorityMeans.CPE}
    for means in AuthorityMeans:
        assert may(means, feeding_of(means))


def test_a_key_sends_no_mail() -> None:
    for means in AuthorityMeans:
        assert (OrderKind.MSS_SEND in kinds_of(means)) == (means is AuthorityMeans.PSC)
        assert transactions_of(OrderKind.MSS_SEND, means) == frozenset()


def test_ones_own_name_comes_before_the_structures_and_a_session_before_a_card() -> None:
    ranks = {means: PREFERENCE.index(means) for means in AuthorityMeans}
    assert max(ranks[means] for means in PERSONAL) < min(ranks[means] for means in IMPUTED)
    assert ranks[AuthorityMeans.PSC] < ranks[AuthorityMeans.CPS]
