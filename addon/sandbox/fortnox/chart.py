"""A BAS-like chart of accounts, voucher series, terms and modes of payment, as a new company gets them."""

from __future__ import annotations

# number | name | VAT code (empty: none)
_CHART = """
1010|Utvecklingsutgifter
1220|Inventarier och verktyg
1250|Datorer
1380|Andra långfristiga fordringar
1400|Lager
1510|Kundfordringar
1513|Kundfordringar, delad faktura
1515|Osäkra kundfordringar
1516|Tvistiga kundfordringar
1519|Nedskrivning av kundfordringar
1580|Fordringar för kontokort och kuponger
1581|Fordran betaltjänst 1
1582|Fordran betaltjänst 2
1583|Fordran betaltjänst 3
1584|Fordran betaltjänst 4
1585|Fordran betaltjänst 5
1610|Kortfristiga fordringar hos anställda
1630|Avräkning för skatter och avgifter
1650|Momsfordran
1680|Andra kortfristiga fordringar
1684|Kortfristiga fordringar hos leverantörer
1686|Fordringar för kontokort och kuponger
1687|Fordran betaltjänst, valuta 1
1688|Fordran betaltjänst, valuta 2
1689|Övriga kortfristiga fordringar, reserver
1690|Fordringar för tecknat men ej inbetalt aktiekapital
1790|Övriga förutbetalda kostnader och upplupna intäkter
1910|Kassa
1920|PlusGiro
1930|Företagskonto
1931|Medel under överföring
1940|Övriga bankkonton
1941|Valutakonto DKK
1950|Bankcertifikat
1960|Koncernkonto moderbolag
1970|Särskilda bankkonton
1980|Valutakonton
1981|Valutakonto EUR
1982|Valutakonto USD
2010|Eget kapital
2081|Aktiekapital
2091|Balanserad vinst eller förlust
2099|Årets resultat
2390|Övriga långfristiga skulder
2420|Förskott från kunder
2421|Ej inlösta presentkort
2440|Leverantörsskulder
2510|Skatteskulder
2610|Utgående moms, 25 %
2611|Utgående moms på försäljning inom Sverige, 25 %|MP1
2614|Utgående moms omvänd skattskyldighet, 25 %|OMP1
2615|Utgående moms import av varor, 25 %
2621|Utgående moms på försäljning inom Sverige, 12 %|MP2
2624|Utgående moms omvänd skattskyldighet, 12 %
2631|Utgående moms på försäljning inom Sverige, 6 %|MP3
2634|Utgående moms omvänd skattskyldighet, 6 %
2640|Ingående moms
2641|Debiterad ingående moms|I
2645|Beräknad ingående moms på förvärv från utlandet|I
2647|Ingående moms omvänd skattskyldighet varor och tjänster i Sverige|I
2650|Redovisningskonto för moms|R2
2670|Utgående moms på försäljning inom EU, OSS
2671|Moms OSS, Danmark
2672|Moms OSS, Tyskland
2673|Moms OSS, Finland
2674|Moms OSS, Frankrike
2675|Moms OSS, Nederländerna
2710|Personalskatt
2731|Avräkning lagstadgade sociala avgifter
2820|Kortfristiga skulder till anställda
2829|Dricks att betala ut
2830|Avräkning för annans räkning
2890|Övriga kortfristiga skulder
2893|Skulder till närstående personer
2990|Övriga upplupna kostnader och förutbetalda intäkter
3000|Försäljning inom Sverige
3001|Försäljning inom Sverige, 25 % moms|MP1
3002|Försäljning inom Sverige, 12 % moms|MP2
3003|Försäljning inom Sverige, 6 % moms|MP3
3004|Försäljning inom Sverige, momsfri|MF
3010|Försäljning varor, 25 % moms|MP1
3041|Försäljning tjänster inom Sverige, 25 % moms|MP1
3042|Försäljning tjänster inom Sverige, 12 % moms|MP2
3043|Försäljning tjänster inom Sverige, 6 % moms|MP3
3044|Försäljning tjänster inom Sverige, momsfri|MF
3105|Försäljning varor till land utanför EU|E
3106|Försäljning varor till annat EU-land, momspliktig|OSS
3108|Försäljning varor till annat EU-land, momsfri|VTEU
3231|Försäljning inom byggsektorn, omvänd skattskyldighet|OMSS
3305|Försäljning tjänster till land utanför EU|ÖTEU
3306|Försäljning tjänster till annat EU-land, momspliktig|OSS
3308|Försäljning tjänster till annat EU-land, momsfri|FTEU
3520|Fakturerade frakter|MP1
3521|Fakturerade frakter, EU-land|VTEU
3522|Fakturerade frakter, export|E
3540|Faktureringsavgifter|MP1
3730|Lämnade rabatter
3740|Öres- och kronutjämning
3790|Övriga intäktskorrigeringar
3960|Valutakursvinster på fordringar och skulder av rörelsekaraktär
3990|Övriga ersättningar och intäkter
4000|Inköp av varor
4531|Inköp av tjänster från land utanför EU, 25 % moms|ITGLOB
4535|Inköp av tjänster från annat EU-land, 25 %|ITEU
4598|Justering, omvänd moms
4990|Lagerförändring
5010|Lokalhyra
5410|Förbrukningsinventarier
6040|Kontokortsavgifter
6050|Försäljningsprovisioner
6064|Factoringavgifter
6065|Avgifter betaltjänster
6110|Kontorsmateriel
6212|Mobiltelefon
6351|Konstaterade förluster på kundfordringar
6352|Befarade förluster på kundfordringar
6380|Förluster på övriga kortfristiga fordringar
6530|Redovisningstjänster
6540|IT-tjänster
6570|Bankkostnader
6590|Övriga externa tjänster
6990|Övriga externa kostnader
6991|Övriga externa kostnader, avdragsgilla
6992|Övriga externa kostnader, ej avdragsgilla
6998|Utländsk moms
7010|Löner till kollektivanställda
7210|Löner till tjänstemän
7510|Lagstadgade sociala avgifter
7832|Avskrivningar på inventarier och verktyg
7960|Valutakursförluster på fordringar och skulder av rörelsekaraktär
8310|Ränteintäkter från omsättningstillgångar
8314|Skattefria ränteintäkter
8330|Valutakursdifferenser på kortfristiga fordringar och placeringar
8410|Räntekostnader för långfristiga skulder
8422|Dröjsmålsräntor för leverantörsskulder
8430|Valutakursdifferenser på skulder
8999|Årets resultat
"""


def standard_chart() -> list[tuple[int, str, str]]:
    """Number, name and VAT code of each account of a new company."""
    accounts = []
    for line in _CHART.strip().splitlines():
        number, name, *code = line.split("|")
        accounts.append((int(number), name, code[0] if code else ""))
    return accounts


SERIES: tuple[tuple[str, str, bool], ...] = (
    ("A", "Redovisning", True),
    ("B", "Kundfakturor", False),
    ("C", "Inbetalningar från kunder", False),
    ("D", "Leverantörsfakturor", False),
    ("E", "Utbetalningar till leverantörer", False),
    ("F", "Kassa", False),
    ("G", "Avskrivning", False),
    ("H", "Periodisering", False),
    ("I", "Bokslut", False),
    ("J", "Revisor", False),
    ("K", "Lön", False),
    ("L", "Kontantfaktura", False),
    ("M", "Momsrapport", False),
)
"""Code, name and whether vouchers may be entered by hand or through the interface."""

PREDEFINED_SERIES: dict[str, str] = {
    "ANL": "G",
    "CASHINVOICE": "L",
    "INVOICE": "B",
    "INVOICEACCRUAL": "H",
    "INVOICEPAYMENT": "C",
    "SALARY": "K",
    "SUPPLIERINVOICE": "D",
    "SUPPLIERINVOICEACCRUAL": "H",
    "SUPPLIERINVOICEPAYMENT": "E",
    "VAT": "M",
}

PREDEFINED_ACCOUNTS: dict[str, int] = {
    "ADMFEE": 3540,
    "BG": 1930,
    "CASHBYCARD": 1686,
    "CURRENCYLOSS": 7960,
    "CURRENCYWIN": 3960,
    "CUSTCLAIM": 1510,
    "FREIGHT": 3520,
    "INTEREST": 8310,
    "INVAT": 2641,
    "OUTVAT_MP1": 2611,
    "OUTVAT_MP2": 2621,
    "OUTVAT_MP3": 2631,
    "PG": 1920,
    "ROUNDOFF": 3740,
    "SALES": 3001,
    "SALES2": 3041,
    "SALESCONSTR2": 3231,
    "SALESEUREV": 3108,
    "SALESEUREV2": 3308,
    "SALESEUVAT": 3106,
    "SALESEUVAT2": 3306,
    "SALESEXPORT": 3105,
    "SALESEXPORT2": 3305,
}

MODES_OF_PAYMENT: tuple[tuple[str, str, int], ...] = (
    ("AG", "Autogiro", 1930),
    ("BG", "Bankgiro", 1930),
    ("KK", "Kontokort", 1686),
    ("KONTANT", "Kontant", 1910),
    ("PG", "Plusgiro", 1920),
)

TERMS_OF_PAYMENT: tuple[tuple[str, str], ...] = (
    ("0", "0 dagar"),
    ("10", "10 dagar"),
    ("15", "15 dagar"),
    ("20", "20 dagar"),
    ("30", "30 dagar"),
    ("AG", "Autogiro"),
    ("K", "Kontant"),
    ("PF", "Postförskott"),
)

UNITS: tuple[tuple[str, str, str], ...] = (
    ("förp", "förpackning", "pack"),
    ("h", "timmar", "h"),
    ("km", "Kilometer", "km"),
    ("st", "styck", "pcs"),
    ("utl", "Utlägg", "exp"),
)

SRU_BY_CLASS: dict[str, int] = {"15": 7251, "16": 7261, "19": 7281, "26": 7369, "30": 7410, "65": 7513}
"""Tax form fields for some account groups; the others carry none."""
