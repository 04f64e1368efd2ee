"""What the simulated PayPal's objects look like on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from addon.sandbox.paypal.account import PayPalAccount
from addon.sandbox.paypal.model import STILL, Dispute, Invoice, Item, Payer, Row
from addon.sandbox.paypal.money import write

Json = dict[str, Any]

SECTIONS = (
    "transaction_info",
    "payer_info",
    "shipping_info",
    "auction_info",
    "cart_info",
    "incentive_info",
    "store_info",
)


def stamp(at: datetime) -> str:
    """An instant as the reporting API really writes it: no colon in the offset."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def zulu(at: datetime) -> str:
    """An instant as the other APIs write it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def render_row(row: Row, sections: Iterable[str], *, balances: bool) -> Json:
    """A row with the sections asked for; `balances` are left out where a filter is set."""
    renderers = {
        "transaction_info": lambda: _info(row, balances=balances),
        "payer_info": lambda: _payer(row.payer),
        "shipping_info": lambda: _shipping(row.payer),
        "cart_info": lambda: _cart(row),
    }
    return {section: renderers[section]() if section in renderers else {} for section in sections}


def _info(row: Row, *, balances: bool) -> Json:
    info: Json = {
        "paypal_account_id": row.payer.account_id if row.payer else "",
        "transaction_id": row.id,
        "paypal_reference_id": row.reference,
        "paypal_reference_id_type": row.reference_type,
        "transaction_event_code": row.code,
        "transaction_initiation_date": stamp(row.initiated),
        "transaction_updated_date": stamp(row.updated),
        "transaction_amount": write(row.amount, row.currency),
        "fee_amount": write(row.fee, row.currency) if row.fee is not None else None,
        "shipping_amount": write(row.shipping, row.currency) if row.shipping else None,
        "sales_tax_amount": write(row.sales_tax, row.currency) if row.sales_tax else None,
        "transaction_status": row.status,
        "transaction_subject": row.subject,
        "transaction_note": row.note,
        "bank_reference_id": row.bank_reference,
        "invoice_id": row.invoice_id,
        "custom_field": row.custom_field,
        "protection_eligibility": "01" if row.amount > 0 and row.payer else "02",
        "instrument_type": "PAYPAL" if row.payer else "",
    }
    if balances and not row.code.startswith(STILL):
        info["ending_balance"] = write(row.ending, row.currency)
        info["available_balance"] = write(row.available, row.currency)
    return {name: value for name, value in info.items() if value not in ("", None)}


def _payer(payer: Payer | None) -> Json:
    if payer is None:
        return {}
    given, _, surname = payer.name.partition(" ")
    found: Json = {
        "account_id": payer.account_id,
        "email_address": payer.email,
        "address_status": "Y",
        "payer_status": "Y",
        "payer_name": {"given_name": given, "surname": surname, "alternate_full_name": payer.name},
        "country_code": payer.country,
    }
    return {name: value for name, value in found.items() if value}


def _shipping(payer: Payer | None) -> Json:
    if payer is None or not payer.name:
        return {}
    given, _, surname = payer.name.partition(" ")
    address = {
        "line1": "Example street 1",
        "city": payer.city or "Exampletown",
        "country_code": payer.country,
        "postal_code": payer.postal_code or "12345",
    }
    return {"name": f"{given}, {surname}".rstrip(", "), "address": address}


def _cart(row: Row) -> Json:
    cart: Json = {}
    if row.items:
        cart["item_details"] = [_item(item, row) for item in row.items]
    if row.paypal_invoice:
        cart["paypal_invoice_id"] = row.paypal_invoice
    return cart


def _item(item: Item, row: Row) -> Json:
    found: Json = {
        "item_code": item.sku,
        "item_name": item.name,
        "item_quantity": str(item.quantity),
        "item_unit_price": write(item.amount // item.quantity, row.currency),
        "item_amount": write(item.amount, row.currency),
        "tax_percentage": str(item.percent) if item.percent is not None else None,
        "tax_amounts": [{"tax_amount": write(item.tax, row.currency)}] if item.tax else None,
        "total_item_amount": write(item.amount + item.tax, row.currency),
        "invoice_number": row.invoice_id,
    }
    return {name: value for name, value in found.items() if value not in ("", None)}


def render_balances(account: PayPalAccount, as_of: datetime, currency: str | None) -> Json:
    """The balances of an account at an instant. The total is what can be spent and what is withheld."""
    found = []
    for code, (available, withheld) in account.balances(as_of).items():
        if currency in (None, "ALL", code):
            balance: Json = {"currency": code}
            if code == account.primary:
                balance["primary"] = True
            balance["total_balance"] = write(available + withheld, code)
            balance["available_balance"] = write(available, code)
            balance["withheld_balance"] = write(withheld, code)
            found.append(balance)
    return {
        "balances": found,
        "account_id": account.id,
        "as_of_time": zulu(as_of),
        "last_refresh_time": zulu(account.refreshed),
    }


def render_invoice(account: PayPalAccount, invoice: Invoice) -> Json:
    """An invoice with its lines and payments."""
    currency = invoice.currency
    net, tax = sum(item.amount for item in invoice.items), sum(item.tax for item in invoice.items)
    given, _, surname = invoice.recipient.name.partition(" ")
    paid = sum(row.amount for row in invoice.payments)
    body: Json = {
        "id": invoice.id,
        "status": invoice.status,
        "detail": {
            "invoice_number": invoice.number,
            "invoice_date": invoice.made.date().isoformat(),
            "currency_code": currency,
            "metadata": {"create_time": zulu(invoice.made)},
        },
        "invoicer": {"business_name": account.name, "email_address": account.email},
        "primary_recipients": [
            {
                "billing_info": {
                    "name": {"given_name": given, "surname": surname},
                    "email_address": invoice.recipient.email,
                    "address": {"country_code": invoice.recipient.country},
                }
            }
        ],
        "items": [
            {
                "id": f"ITEM-{number}",
                "name": item.name,
                "quantity": str(item.quantity),
                "unit_amount": write(item.amount // item.quantity, currency),
                "tax": {"name": "VAT", "percent": str(item.percent or 0), "amount": write(item.tax, currency)},
            }
            for number, item in enumerate(invoice.items, 1)
        ],
        "configuration": {"tax_inclusive": False, "tax_calculated_after_discount": True},
        "amount": {
            **write(invoice.total, currency),
            "breakdown": {"item_total": write(net, currency), "tax_total": write(tax, currency)},
        },
        "due_amount": write(max(0, invoice.total - paid), currency),
    }
    if invoice.payments:
        body["payments"] = {
            "paid_amount": write(paid, currency),
            "transactions": [_payment(row) for row in invoice.payments],
        }
    if invoice.refunds:
        back = -sum(row.amount for row in invoice.refunds)
        body["refunds"] = {
            "refund_amount": write(back, currency),
            "transactions": [
                {
                    "type": "PAYPAL",
                    "refund_id": row.id,
                    "refund_date": row.posted.date().isoformat(),
                    "method": "PAYPAL",
                    "amount": write(-row.amount, row.currency),
                }
                for row in invoice.refunds
            ],
        }
    return body


def _payment(row: Row) -> Json:
    return {
        "type": "PAYPAL",
        "payment_id": row.id,
        "payment_date": row.posted.date().isoformat(),
        "method": "PAYPAL",
        "amount": write(row.amount, row.currency),
    }


def render_dispute(dispute: Dispute, account: PayPalAccount, *, whole: bool) -> Json:
    """A dispute; what a list shows, or `whole` with its payment and outcome."""
    body: Json = {
        "dispute_id": dispute.id,
        "create_time": zulu(dispute.made).replace("Z", ".000Z"),
        "update_time": zulu(dispute.updated).replace("Z", ".000Z"),
        "reason": dispute.reason,
        "status": dispute.status,
        "dispute_amount": write(dispute.amount, dispute.currency),
        "dispute_life_cycle_stage": dispute.stage,
        "dispute_channel": "INTERNAL",
    }
    if not whole:
        body["dispute_state"] = "RESOLVED" if dispute.status == "RESOLVED" else "REQUIRED_ACTION"
        return body
    payment = account.get_row(dispute.payment)
    body["disputed_transactions"] = [
        {
            "seller_transaction_id": dispute.payment,
            "create_time": zulu(payment.posted).replace("Z", ".000Z"),
            "transaction_status": "COMPLETED",
            "gross_amount": write(payment.amount, payment.currency),
            "seller": {"merchant_id": account.id, "name": account.name, "email": account.email},
        }
    ]
    if dispute.outcome:
        body["dispute_outcome"] = {
            "outcome_code": dispute.outcome,
            "amount_refunded": write(
                dispute.amount if dispute.outcome == "RESOLVED_BUYER_FAVOUR" else 0, dispute.currency
            ),
        }
    return body
