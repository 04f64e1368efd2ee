"""What Kvitt booked, taken out of the books again: as SIE, as CSV, and as the audit pack."""

import csv
import io
import zipfile
from decimal import Decimal

from pypdf import PdfReader

from addon.connectors.fortnox import sie
from addon.services import exports
from tests.core.test_sie import read_strictly
from tests.flow.house import House


def test_what_was_booked_comes_out_again_to_the_ore(plus: House) -> None:
    plus.sells("2026-03-02", 125_000, name='=HYPERLINK("http://evil.example")')
    charge = plus.sells("2026-02-26", 10_000, "eur")
    plus.refunds(charge, "2026-03-05", 4_000)
    plus.time("2026-04-02 10:00")
    plus.opens(start="2026-02-01")
    plus.runs()
    plus.books.person_posts_voucher([(1930, 7), (3001, -7)])
    services, company = plus.town.services, plus.company_id

    file = exports.sie_file(services, company)
    read = read_strictly(file.content)
    ours = {voucher for row in plus.documents() for voucher in row.vouchers}
    # The simulated ledger, and not our rows, says what each of our vouchers holds.
    ledger = {
        f"{one.series}/{one.number}": sorted((str(row.account), Decimal(row.amount)) for row in one.rows)
        for one in plus.books.ledger
        if "/".join(map(str, one.key)) in ours
    }
    written = {f"{voucher['series']}/{voucher['number']}": sorted(voucher["rows"]) for voucher in read["vouchers"]}
    assert written == ledger
    assert file.missing == ()
    assert not any(voucher["series"] == "A" for voucher in read["vouchers"]), "a person's voucher is not ours"
    again = sie.read_ledger(sie.read_lines(iter([file.content])), [str(plus.clearing())], "1", "SEK")
    expected = sum(amount for rows in ledger.values() for account, amount in rows if account == str(plus.clearing()))
    assert sum(entry.amount.to_decimal() for entry in again.entries) == expected

    voucher = next(one for one in plus.books.ledger if "/payout" in one.description)
    plus.books.ledger.remove(voucher)
    reference = "/".join(map(str, voucher.key))
    pack = zipfile.ZipFile(io.BytesIO(exports.audit_pack(services, company, "Ada Auditor")))
    names = set(pack.namelist())
    assert {
        "kvitt.se",
        "activity.csv",
        "settings/history.csv",
        "settings/now.json",
        "system-documentation.pdf",
    } <= names
    assert {f"csv/{name}.csv" for name in ("documents", "lines", "movements", "payouts", "proofs")} <= names
    assert [name for name in names if name.startswith("statements/")]
    assert f"not found in the books any more: {reference}" in pack.read("README.txt").decode()
    rows = list(csv.DictReader(io.StringIO(pack.read("csv/movements.csv").decode("utf-8-sig"))))
    assert sum(Decimal(row["net"]) for row in rows if row["currency"] == "SEK") == sum(
        Decimal(row["amount"])
        for row in csv.DictReader(io.StringIO(pack.read("csv/lines.csv").decode("utf-8-sig")))
        if row["currency"] == "SEK"
    )
    assert not [row for row in rows for cell in row.values() if cell.startswith("=")]
    words = "\n".join(
        page.extract_text() for page in PdfReader(io.BytesIO(pack.read("system-documentation.pdf"))).pages
    )
    for wanted in ("System documentation", str(plus.clearing()), "Back-up", "Test Person", "approve"):
        assert wanted in words, wanted
    small = zipfile.ZipFile(io.BytesIO(exports.csv_pack(services, company, 2026)))
    assert small.namelist() == ["documents.csv", "lines.csv", "movements.csv", "payouts.csv"]
