"""A database with two companies in it, once as SQLite and once as PostgreSQL in the application's own role."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from addon.core.accounts import Account, AccountRole
from addon.core.delivery import DeliveryState
from addon.core.documents import (
    BookPayment,
    CreatePayment,
    Document,
    DocumentKind,
    PostVoucher,
    Settlement,
    Step,
    Voucher,
    signed_line,
)
from addon.core.money import Money
from addon.store.codec import encode, fingerprint
from addon.store.database import Database
from addon.store.deliveries import new_deliveries
from addon.store.migrate import migrate
from addon.store.models import Company, Connection, DocumentRow
from tests.support.engines import share_what_is_compiled

share_what_is_compiled()

_tenants = itertools.count(1)
AT = datetime(2026, 3, 2, 4, 5, 6, 789, tzinfo=UTC)
DAY = date(2026, 3, 2)


@dataclass(frozen=True, slots=True)
class World:
    """Two companies with one connection each."""

    db: Database
    first: int
    second: int
    first_connection: int
    second_connection: int

    def plan(
        self,
        document: Document,
        state: DeliveryState = DeliveryState.APPROVED,
        company_id: int | None = None,
    ) -> list[int]:
        """Store a document with its deliveries; their ids, in order."""
        with self.db.company(company_id or self.first) as session:
            row = DocumentRow(
                connection_id=self.second_connection if company_id == self.second else self.first_connection,
                key=document.key,
                kind=document.kind.value,
                booking_date=document.booking_date,
                total_minor=document.total.minor,
                currency=document.total.currency,
                rule=document.rule,
                payload=encode(document),
                fingerprint=fingerprint(document),
                state=state.value,
                planned_at=AT,
            )
            session.add(row)
            session.flush()
            deliveries = new_deliveries(document, row.id, state)
            session.add_all(deliveries)
            session.flush()
            return [delivery.id for delivery in deliveries]


def document(key: str, *steps: Step) -> Document:
    return Document(
        key=key,
        kind=DocumentKind.MATCH,
        booking_date=DAY,
        total=Money(12_50, "SEK"),
        parts=(),
        clearing=(),
        steps=steps,
        rule="because the test says so",
    )


def payment(key: str, invoice_number: str) -> Document:
    """A payment on an invoice that was there: two steps, both alone on that invoice."""
    account = Account(AccountRole.CLEARING, "1580")
    settlement = Settlement(key, Money(12_50, "SEK"), None, DAY, account)
    return document(
        key,
        CreatePayment(f"{key}/payment", settlement, invoice_number=invoice_number),
        BookPayment(f"{key}/book", payment_key=f"{key}/payment"),
    )


def voucher(key: str) -> Document:
    """A voucher: one step, alone on the voucher series."""
    lines = (
        signed_line(Account(AccountRole.BANK, "1930"), Money(5_00, "SEK")),
        signed_line(Account(AccountRole.CLEARING, "1580"), Money(-5_00, "SEK")),
    )
    return document(key, PostVoucher(f"{key}/voucher", Voucher(key, DAY, "Payout", lines)))


def furnish(db: Database) -> World:
    companies, connections = [], []
    for number in (1, 2):
        tenant = f"{next(_tenants)}"
        with db.open() as session:
            company = Company(name=f"Company {number}", accounting="fortnox", tenant=tenant, created_at=AT)
            session.add(company)
            session.flush()
            companies.append(company.id)
        with db.company(companies[-1]) as session:
            connection = Connection(
                provider="stripe",
                way="connect",
                account_ref=f"acct_{tenant}",
                grant_sealed=b"sealed",
                connected_at=AT,
            )
            session.add(connection)
            session.flush()
            connections.append(connection.id)
    return World(db, *companies, *connections)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_db(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "kvitt.db"
    shutil.copyfile(sqlite_template, path)
    db = Database(f"sqlite:///{path}")
    yield db
    db.close()


@pytest.fixture(scope="session")
def postgres_db(new_postgres_database: Callable[..., tuple[str, str]]) -> Iterator[Database]:
    """One for all tests here: each has companies of its own, and that they do not meet is what is promised."""
    owner_url, app_url = new_postgres_database(migrate)
    db = Database(app_url, owner_url)
    yield db
    db.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def db(request: pytest.FixtureRequest) -> Database:
    """Each test runs on both kinds of database."""
    chosen: Database = request.getfixturevalue(f"{request.param}_db")
    return chosen


@pytest.fixture
def world(db: Database) -> World:
    return furnish(db)


@pytest.fixture
def postgres_world(postgres_db: Database) -> World:
    return furnish(postgres_db)
