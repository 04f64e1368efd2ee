"""How a sale's documents look and how far Kvitt takes them: booked, a draft, an order; terms, cost centre, articles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from addon.core.accounts import AccountRole


class SaleDocument(StrEnum):
    """What a sale becomes in Plus."""

    BOOKED = "booked"
    """A booked invoice with its payment."""
    DRAFT = "draft"
    """An invoice that a person books; the payment waits until then."""
    ORDER = "order"
    """An order that a person turns into an invoice and books; the payment waits until then."""


class Articles(StrEnum):
    """What a row of an invoice says of what was sold."""

    FREE_TEXT = "free_text"
    MATCHED = "matched"
    """The article with the sold thing's number (SKU), where the books have it."""
    CREATED = "created"
    """The same, and an article that is missing is made."""


@dataclass(frozen=True, slots=True)
class SaleForm:
    """A company's choices for its sales' documents; the default is what needs the fewest calls and no person.

    `payment_terms`, `cost_centre` and `project` are codes of the books, empty: the books' own default, or none.
    """

    document: SaleDocument = SaleDocument.BOOKED
    articles: Articles = Articles.FREE_TEXT
    payment_terms: str = ""
    cost_centre: str = ""
    project: str = ""
    mail_invoice: bool = False
    """Whether the books mail the invoice to the buyer, once it is booked."""
    payments_booked: bool = True
    """False: payments are left unbooked for the bookkeeper."""
    by_organisation: bool = False
    """Whether a business is one customer by its organisation number, whatever e-mail address it buys with."""
    update_customers: bool = False
    """Whether a customer that is there gets the name and VAT number that the buyer gave last."""

    @property
    def leaves_sales_alone(self) -> bool:
        """Whether a sale's document is wanted just as it is planned: booked, in free text, with nothing besides."""
        return (
            self.document is SaleDocument.BOOKED
            and self.articles is Articles.FREE_TEXT
            and not (self.payment_terms or self.mail_invoice or self.update_customers)
        )

    def codes_for(self, role: AccountRole) -> tuple[str, str]:
        """The cost centre and project that rows on an account of this role can get."""
        return ("", "") if role in _WITHOUT_CODES else (self.cost_centre, self.project)


_WITHOUT_CODES: Final = frozenset({AccountRole.CLEARING, AccountRole.ROUNDING})
"""Roles that payments and their write-offs are booked on, which carry neither."""


USUAL_FORM: Final = SaleForm()

_ARTICLE_NUMBER: Final = re.compile(r"[A-Za-z0-9ÅÄÖåäö_\-/\\+$]{1,50}")


def article_number(sku: str) -> str:
    """A SKU as an article number; empty where it is none that books take."""
    text = sku.strip()
    return text if _ARTICLE_NUMBER.fullmatch(text) else ""


_SWEDISH: Final = re.compile(r"SE([0-9]{10})01")
_NORWEGIAN: Final = re.compile(r"(?:NO)?([0-9]{9})MVA")


def organisation_number(vat_number: str) -> str:
    """The organisation number inside a Swedish or Norwegian VAT number, digits only; empty for any other."""
    text = re.sub(r"[\s.-]", "", vat_number).upper()
    for pattern in (_SWEDISH, _NORWEGIAN):
        found = pattern.fullmatch(text)
        if found is not None:
            return found[1]
    return ""
