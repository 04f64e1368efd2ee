"""What a fresh Danish agreement has: accounts, VAT codes and zones, groups, terms, layouts, currencies."""

from __future__ import annotations

ACCOUNTS: tuple[tuple[int, str, str, str, str], ...] = (
    # number, name, type, debit or credit, VAT code
    (1000, "RESULTATOPGØRELSE", "heading", "debit", ""),
    (1001, "Omsætning", "heading", "debit", ""),
    (1010, "Salg af varer/ydelser m/moms", "profitAndLoss", "credit", "U25"),
    (1011, "Salg af varer/ydelser u/moms", "profitAndLoss", "credit", ""),
    (1050, "Salg af varer udland, ikke EU", "profitAndLoss", "credit", "UVUDL"),
    (1051, "Salg af varer til EU-lande", "profitAndLoss", "credit", "UVEU"),
    (1052, "Salg af ydelser til EU-lande", "profitAndLoss", "credit", "UYEU"),
    (1090, "Øredifferencer, salg", "profitAndLoss", "credit", ""),
    (1299, "Omsætning i alt", "totalFrom", "credit", ""),
    (1310, "Vareforbrug", "profitAndLoss", "debit", "I25"),
    (3600, "Kontorartikler", "profitAndLoss", "debit", "I25"),
    (3620, "Gebyrer m.v.", "profitAndLoss", "debit", ""),
    (3621, "Gebyrer, betalingsformidling", "profitAndLoss", "debit", ""),
    (3625, "Tab på debitorer", "profitAndLoss", "debit", ""),
    (4350, "Kursgevinst", "profitAndLoss", "credit", ""),
    (4360, "Kurstab", "profitAndLoss", "debit", ""),
    (4450, "Øreafrunding", "profitAndLoss", "debit", ""),
    (5000, "BALANCE", "heading", "debit", ""),
    (5600, "Debitorer", "status", "debit", ""),
    (5700, "Tilgodehavende, indsigelser", "status", "debit", ""),
    (5800, "Kasse", "status", "debit", ""),
    (5820, "Bank", "status", "debit", ""),
    (5830, "Bank, valuta", "status", "debit", ""),
    (5890, "Mellemregning, penge undervejs", "status", "debit", ""),
    (5891, "Betalingsformidler, mellemregning", "status", "debit", ""),
    (5892, "Betalingsformidler, mellemregning 2", "status", "debit", ""),
    (5893, "Betalingsformidler, mellemregning 3", "status", "debit", ""),
    (5894, "Betalingsformidler, indsigelser", "status", "debit", ""),
    (5895, "Betalingsformidler, reserver", "status", "debit", ""),
    (6190, "Årets resultat", "status", "credit", ""),
    (6800, "Varekreditorer", "status", "credit", ""),
    (6902, "Salgsmoms (udgående moms)", "status", "credit", ""),
    (6903, "Købsmoms (indgående moms)", "status", "debit", ""),
    (6904, "Moms af ydelseskøb i udlandet", "status", "credit", ""),
    (6970, "Fejlkonto", "status", "debit", ""),
)
VAT_CODES: tuple[tuple[str, str, str, int, int | None, int], ...] = (
    # code, name, rate, account, contra account, VAT type
    ("U25", "Salgsmoms 25 %", "25", 6902, None, 1),
    ("UVEU", "Varesalg EU", "0", 6902, None, 1),
    ("UYEU", "Ydelsessalg EU", "0", 6902, None, 1),
    ("UVUDL", "Varesalg uden for EU", "0", 6902, None, 1),
    ("I25", "Købsmoms 25 %", "25", 6903, None, 2),
    ("IYEU", "Ydelseskøb EU, omvendt betalingspligt", "25", 6903, 6904, 3),
)
VAT_TYPES = ((1, "Outgoing Sales Domestic"), (2, "Ingoing Purchase Domestic"), (3, "Reversed charge"))
VAT_ZONES = ((1, "Domestic", True), (2, "EU", True), (3, "Abroad", True), (4, "Domestic exempt VAT", False))
"""Number, name, whether suppliers may be in it."""
PRODUCT_GROUPS: tuple[tuple[int, str, dict[int, int]], ...] = (
    (1, "Varer m/moms", {1: 1010, 2: 1051, 3: 1050, 4: 1011}),
    (2, "Varer u/moms", {1: 1011, 2: 1011, 3: 1011, 4: 1011}),
    (3, "Ydelser m/moms", {1: 1010, 2: 1052, 3: 1011, 4: 1011}),
    (4, "Øredifferencer", {1: 1090, 2: 1090, 3: 1090, 4: 1090}),
)
"""Number, name, sales account per VAT zone."""
PAYMENT_TERMS: tuple[tuple[int, str, str, int | None], ...] = (
    (1, "Netto 8 dage", "net", 8),
    (2, "Netto 14 dage", "net", 14),
    (3, "Til omgående betaling", "net", 0),
    (4, "Løbende måned 30 dage", "invoiceMonth", 30),
    (5, "Kontant", "paidInCash", None),
    (7, "Forfaldsdato", "dueDate", None),
    (8, "Forudbetalt", "prepaid", None),
)
CUSTOMER_GROUPS = ((1, "Danske kunder", 5600), (2, "Udenlandske kunder", 5600))
LAYOUTS = ((19, "Dansk std. uden bankoplysninger", False), (20, "Dansk std. m. bankoplysninger", False), (7, "G", True))
CURRENCIES = (("DKK", "Danske kroner", "208"), ("EUR", "Euro", "978"), ("SEK", "Svenske kroner", "752"))
UNITS = ((1, "stk."), (2, "timer"))
JOURNALS: tuple[tuple[int, str, int, int | None, int], ...] = (
    # number, name, minimum voucher number, maximum, allowed entry type
    (1, "Daglig", 10001, None, 0),
    (2, "Indbetalinger", 50001, None, 2),
    (3, "Lønninger", 40001, 49999, 5),
)
MODULES = ((3, "Indscanning"), (14, "Dimension (afdeling/kvantum)"))
ROLES = {"SuperUser": 2, "Bookkeeping": 3, "Sales": 4, "ProjectEmployee": 5}
ACCOUNT_TYPES = ("profitAndLoss", "status", "totalFrom", "heading", "headingStart", "sumInterval", "sumAlpha")
