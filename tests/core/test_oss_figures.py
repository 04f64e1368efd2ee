"""The OSS figures when sales go back: by refund, by undo, in another year."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from addon.core.documents import DocumentKind
from addon.core.money import Money
from addon.core.plan.undo import Standing, plan_undo
from addon.core.plan.vat import add_oss, share_of_oss
from addon.core.settlement import SettledSale, sale_fact, settled_sales
from addon.core.vat import OssAmount, OssYear
from tests.core.samples import money, sample_policy
from tests.core.story import Story

SOLD = OssAmount("DE", Decimal(19), money("100.00 SEK"), money("19.00 SEK"), date(2026, 12, 30), abroad=True)


def test_a_refund_next_year_is_no_sale_abroad_of_that_year() -> None:
    back = share_of_oss((SOLD,), money("119.00 SEK"), money("119.00 SEK"), date(2027, 1, 4))
    years = add_oss({}, (SOLD, *back))
    assert years == {
        2026: OssYear(money("100.00 SEK"), crossed=True),
        2027: OssYear(money("-100.00 SEK"), crossed=False),
    }


def test_an_undone_sale_leaves_the_figures() -> None:
    story = Story()
    story.tell(
        """
        set oss always
        2026-03-02 sale ch_1 txn_1 119.00 SEK buyer "Max Kiel" max@example.de DE
        run 2026-03-03
        """
    )
    (sale,) = (landed for landed in story.company.landed.values() if landed.document.kind is DocumentKind.SALE)
    undo = plan_undo(Standing(sale.document, "101", total=sale.total), sample_policy(), "anna")
    assert [(one.country, one.net, one.vat) for one in undo.oss] == [("DE", money("-100.00 SEK"), money("-19.00 SEK"))]
    assert add_oss({}, (*sale.document.oss, *undo.oss))[2026].net == Money.zero("SEK")


def test_a_settled_sale_remembers_its_figures_and_old_ones_had_none() -> None:
    sale = SettledSale(money("119.00 SEK"), (), oss=(SOLD,))
    assert settled_sales([(sale_fact("ch_1", sale),)], "SEK") == {"ch_1": sale}
    without = replace(sale, oss=())
    assert "oss" not in sale_fact("ch_1", without)[1]
    assert settled_sales([(sale_fact("ch_1", without),)], "SEK") == {"ch_1": without}


def test_refunds_in_settlement_take_their_share_of_the_figures() -> None:
    story = Story()
    story.tell(
        """
        set mode settlement
        set oss always
        2026-03-02 sale ch_1 txn_1 119.00 SEK buyer "Max Kiel" max@example.de DE in po_1
        2026-03-03 refund re_1 txn_2 -59.50 SEK of ch_1 in po_1
        2026-03-04 payout po_1 txn_3 -59.50 SEK
        payout po_1 59.50 SEK paid 2026-03-04
        run 2026-03-05
        2026-03-06 refund_reversal re_1 txn_4 59.50 SEK of ch_1 in po_2
        2026-03-07 payout po_2 txn_5 -59.50 SEK
        payout po_2 59.50 SEK paid 2026-03-07
        """
    )
    amounts = [one for document in story.company.documents() for one in document.oss]
    assert [one.net for one in amounts] == [money("100.00 SEK"), money("-50.00 SEK")]
    story.tell("run 2026-03-08")
    amounts = [one for document in story.company.documents() for one in document.oss]
    assert Money.total((one.net for one in amounts), "SEK") == money("100.00 SEK")
    assert Money.total((one.vat for one in amounts), "SEK") == money("19.00 SEK")
