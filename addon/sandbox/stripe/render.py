"""The simulated Stripe's records as the JSON its API answers, in the shape of the version asked for.

Fields that can be expanded hold ids here; `expand.py` replaces them. Shapes follow API version
2026-05-27.dahlia; before 2025-03-31 charges and PaymentIntents also name their invoice.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from addon.sandbox.stripe.account import StripeAccount
from addon.sandbox.stripe.model import (
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Customer,
    Dispute,
    Event,
    Invoice,
    InvoicePayment,
    Payout,
    Refund,
    SoldLine,
    Topup,
    WebhookEndpoint,
)

Json = dict[str, Any]
API_VERSION = "2026-05-27.dahlia"
_INVOICE_LEFT_CHARGES = "2025-03-31"
_CARD_METHODS = {"card"}

_EVIDENCE_FIELDS = (
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure "
    "cancellation_rebuttal customer_communication customer_email_address customer_name "
    "customer_purchase_ip customer_signature duplicate_charge_documentation "
    "duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy "
    "refund_policy_disclosure refund_refusal_explanation service_date service_documentation "
    "shipping_address shipping_carrier shipping_date shipping_documentation shipping_tracking_number "
    "uncategorized_file uncategorized_text"
)
_EVIDENCE = dict.fromkeys(_EVIDENCE_FIELDS.split())


def _number(rate: Decimal | None) -> float | None:
    """A rate as a JSON number, the one place where one is written; six digits survive the trip unchanged."""
    return None if rate is None else float(rate)


def render_balance_transaction(account: StripeAccount, row: BalanceTransaction) -> Json:
    """One row of the ledger; `status` is what it is at the world's present instant."""
    return {
        "id": row.id,
        "object": "balance_transaction",
        "amount": row.amount,
        "available_on": row.available_on,
        "balance_type": row.balance_type,
        "created": row.created,
        "currency": row.currency,
        "description": row.description,
        "exchange_rate": _number(row.exchange_rate),
        "fee": row.fee,
        "fee_details": [
            {
                "amount": detail.amount,
                "application": detail.application,
                "currency": detail.currency,
                "description": detail.description,
                "type": detail.type,
            }
            for detail in row.fee_details
        ],
        "net": row.net,
        "reporting_category": row.reporting_category,
        "source": row.source,
        "status": account.row_status(row, account.now_seconds()),
        "type": row.type,
    }


def _address(country: str | None, address: dict[str, str | None]) -> Json:
    return {
        "city": address.get("city"),
        "country": country,
        "line1": address.get("line1"),
        "line2": None,
        "postal_code": address.get("postal_code"),
        "state": None,
    }


def _payment_method_details(charge: Charge) -> Json:
    kind = charge.payment_method_type
    if kind not in _CARD_METHODS:
        details: Json = {"type": kind}
        if kind == "klarna":
            details[kind] = {
                "payer_details": None,
                "payment_method_category": "pay_later",
                "preferred_locale": None,
            }
        return details
    return {
        "type": "card",
        "card": {
            "amount_authorized": charge.amount,
            "authorization_code": None,
            "brand": "visa",
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": charge.country,
            "exp_month": 8,
            "exp_year": 2031,
            "fingerprint": "SandboxFinger1",
            "funding": "debit",
            "installments": None,
            "last4": "4242",
            "mandate": None,
            "network": "visa",
            "network_token": None,
            "network_transaction_id": None,
            "regulated_status": None,
            "three_d_secure": None,
            "transaction_link_id": None,
            "wallet": None,
        },
    }


def render_charge(account: StripeAccount, charge: Charge, version: str = API_VERSION) -> Json:
    """A charge, as the merchant's buyer paid it."""
    failed = charge.status == "failed"
    rendered: Json = {
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": charge.amount_captured,
        "amount_refunded": charge.amount_refunded,
        "application": None,
        "application_fee": None,
        "application_fee_amount": charge.application_fee or None,
        "balance_transaction": charge.balance_transaction,
        "billing_details": {
            "address": _address(charge.country, charge.address),
            "email": charge.email,
            "name": charge.name,
            "phone": charge.phone,
            "tax_id": charge.tax_id,
        },
        "calculated_statement_descriptor": account.name.upper()[:22],
        "captured": charge.amount_captured > 0,
        "created": charge.created,
        "currency": charge.currency,
        "customer": charge.customer,
        "description": charge.description,
        "disputed": charge.disputed,
        "failure_balance_transaction": charge.failure_balance_transaction,
        "failure_code": "charge_for_pending_refund_disputed" if failed else None,
        "failure_message": "The buyer's bank did not pay." if failed else None,
        "fraud_details": {},
        "livemode": account.livemode,
        "metadata": dict(charge.metadata),
        "on_behalf_of": None,
        "outcome": {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": not failed,
        "payment_intent": charge.payment_intent,
        "payment_method": f"pm_{charge.payment_intent[3:]}",
        "payment_method_details": _payment_method_details(charge),
        "receipt_email": charge.email,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": charge.amount_refunded >= charge.amount,
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": charge.status,
        "transfer_data": None,
        "transfer_group": None,
    }
    if version < _INVOICE_LEFT_CHARGES:
        rendered["invoice"] = charge.invoice
    return rendered


def render_payment_intent(account: StripeAccount, charge: Charge, version: str = API_VERSION) -> Json:
    """The PaymentIntent around a charge; its metadata may have been edited since."""
    amount_details: Json = {"tip": {}}
    if charge.amount_tax is not None:
        amount_details["tax"] = {"total_tax_amount": charge.amount_tax}
    if charge.amount_shipping is not None:
        amount_details["shipping"] = {
            "amount": charge.amount_shipping,
            "from_postal_code": None,
            "to_postal_code": charge.address.get("postal_code"),
        }
    rendered: Json = {
        "id": charge.payment_intent,
        "object": "payment_intent",
        "amount": charge.amount,
        "amount_capturable": 0,
        "amount_details": amount_details,
        "amount_received": charge.amount_captured if charge.status == "succeeded" else 0,
        "application": None,
        "application_fee_amount": charge.application_fee or None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": None,
        "confirmation_method": "automatic",
        "created": charge.created,
        "currency": charge.currency,
        "customer": charge.customer,
        "description": charge.description,
        "last_payment_error": None,
        "latest_charge": charge.id,
        "livemode": account.livemode,
        "metadata": dict(charge.intent_metadata),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": f"pm_{charge.payment_intent[3:]}",
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": [charge.payment_method_type],
        "processing": None,
        "receipt_email": charge.email,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded" if charge.status == "succeeded" else "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }
    if charge.order_reference is not None:
        rendered["payment_details"] = {"customer_reference": None, "order_reference": charge.order_reference}
    if version < _INVOICE_LEFT_CHARGES:
        rendered["invoice"] = charge.invoice
    return rendered


def render_refund(account: StripeAccount, refund: Refund) -> Json:
    """A refund; `failure_…` fields stand there only when it failed, as at Stripe."""
    rendered: Json = {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": refund.balance_transaction,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": dict(refund.metadata),
        "payment_intent": refund.payment_intent,
        "reason": refund.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": refund.status,
        "transfer_reversal": None,
    }
    if not refund.charge.startswith("ch_"):
        method = account.get_charge(refund.charge).payment_method_type
        rendered["destination_details"] = {"type": method}
    if refund.status == "failed":
        rendered["failure_balance_transaction"] = refund.failure_balance_transaction
        rendered["failure_reason"] = refund.failure_reason
    if refund.status == "pending":
        rendered["pending_reason"] = "processing"
    return rendered


def render_dispute(account: StripeAccount, dispute: Dispute) -> Json:
    """A dispute with its rows in full, as Stripe writes them."""
    rows = (account.ledger.get(row_id) for row_id in dispute.balance_transactions)
    return {
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": [render_balance_transaction(account, row) for row in rows if row is not None],
        "charge": dispute.charge,
        "created": dispute.created,
        "currency": dispute.currency,
        "enhanced_eligibility_types": [],
        "evidence": {**_EVIDENCE, "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": dispute.due_by,
            "enhanced_eligibility": {},
            "has_evidence": dispute.countered,
            "past_due": False,
            "submission_count": 1 if dispute.countered else 0,
        },
        "is_charge_refundable": dispute.status.startswith("warning"),
        "livemode": account.livemode,
        "metadata": {},
        "payment_intent": dispute.payment_intent,
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "case_type": "inquiry" if dispute.status.startswith("warning") else "chargeback",
                "network": "visa",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": dispute.reason,
        "status": dispute.status,
    }


def render_payout(account: StripeAccount, payout: Payout) -> Json:
    """A payout and where it stands."""
    traced = payout.trace is not None
    return {
        "id": payout.id,
        "object": "payout",
        "amount": payout.amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": payout.arrival_date,
        "automatic": payout.automatic,
        "balance_transaction": payout.balance_transaction,
        "created": payout.created,
        "currency": payout.currency,
        "description": "STRIPE PAYOUT",
        "destination": payout.destination,
        "failure_balance_transaction": payout.failure_balance_transaction,
        "failure_code": payout.failure_code,
        "failure_message": payout.failure_message,
        "livemode": account.livemode,
        "metadata": {},
        "method": payout.method,
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": payout.reconciliation_status,
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": payout.status,
        "trace_id": {"status": "supported" if traced else "pending", "value": payout.trace},
        "type": "bank_account",
    }


def render_topup(account: StripeAccount, topup: Topup) -> Json:
    """A top-up, arrived at once."""
    return {
        "id": topup.id,
        "object": "topup",
        "amount": topup.amount,
        "balance_transaction": topup.balance_transaction,
        "created": topup.created,
        "currency": topup.currency,
        "description": topup.description,
        "expected_availability_date": topup.created,
        "failure_code": None,
        "failure_message": None,
        "livemode": account.livemode,
        "metadata": {},
        "source": None,
        "statement_descriptor": None,
        "status": "succeeded",
        "transfer_group": None,
    }


def render_customer(account: StripeAccount, customer: Customer) -> Json:
    """A saved buyer."""
    return {
        "id": customer.id,
        "object": "customer",
        "address": _address(customer.country, {}) if customer.country else None,
        "balance": 0,
        "created": customer.created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": customer.email,
        "invoice_prefix": customer.id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": account.livemode,
        "metadata": dict(customer.metadata),
        "name": customer.name,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def render_checkout_session(account: StripeAccount, session: CheckoutSession, breakdown: bool = False) -> Json:
    """A completed Checkout session; `breakdown` adds the tax lines, which Stripe gives on request only."""
    charge = account.get_charge(session.charge)
    tax = sum(line.amount for line in session.taxes)
    added = sum(line.amount for line in session.taxes if not line.inclusive)
    total_details: Json = {
        "amount_discount": 0,
        "amount_shipping": session.amount_shipping,
        "amount_tax": tax,
    }
    if breakdown:
        total_details["breakdown"] = {
            "discounts": [],
            "taxes": [
                {
                    "amount": line.amount,
                    "rate": {
                        "id": f"txr_1{account.id[-10:]}{position}",
                        "object": "tax_rate",
                        "active": False,
                        "country": line.country,
                        "created": session.created,
                        "description": None,
                        "display_name": "VAT",
                        "effective_percentage": _number(line.percentage),
                        "flat_amount": None,
                        "inclusive": line.inclusive,
                        "jurisdiction": line.country,
                        "jurisdiction_level": "country",
                        "livemode": account.livemode,
                        "metadata": {},
                        "percentage": _number(line.percentage),
                        "rate_type": "percentage",
                        "state": None,
                        "tax_type": "vat",
                    },
                    "taxability_reason": "standard_rated",
                    "taxable_amount": line.taxable_amount,
                }
                for position, line in enumerate(session.taxes)
            ],
        }
    return {
        "id": session.id,
        "object": "checkout.session",
        "amount_subtotal": charge.amount - added - session.amount_shipping,
        "amount_total": charge.amount,
        "automatic_tax": {
            "enabled": bool(session.taxes),
            "liability": {"type": "self"} if session.taxes else None,
            "provider": "stripe" if session.taxes else None,
            "status": "complete" if session.taxes else None,
        },
        "cancel_url": None,
        "client_reference_id": session.client_reference_id,
        "created": session.created,
        "currency": charge.currency,
        "custom_fields": [
            {
                "key": key,
                "label": {"custom": key, "type": "custom"},
                "optional": True,
                "text": {
                    "default_value": None,
                    "maximum_length": None,
                    "minimum_length": None,
                    "value": value,
                },
                "type": "text",
            }
            for key, value in session.custom_fields
        ],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": charge.customer,
        "customer_details": {
            "address": _address(charge.country, charge.address),
            "business_name": None,
            "email": charge.email,
            "individual_name": None,
            "name": charge.name,
            "phone": charge.phone,
            "tax_exempt": session.tax_exempt,
            "tax_ids": [{"type": kind, "value": value} for kind, value in session.tax_ids],
        },
        "customer_email": None,
        "collected_information": {
            "shipping_details": {"address": _address(session.delivery_country, {}), "name": charge.name or ""}
            if session.delivery_country
            else None,
        },
        "expires_at": session.created + 86_400,
        "invoice": charge.invoice,
        "livemode": account.livemode,
        "metadata": dict(session.metadata),
        "mode": "payment",
        "payment_intent": charge.payment_intent,
        "payment_link": None,
        "payment_method_types": [charge.payment_method_type],
        "payment_status": "paid" if charge.status == "succeeded" else "unpaid",
        "setup_intent": None,
        "shipping_options": [],
        "status": "complete",
        "subscription": None,
        "success_url": None,
        "total_details": total_details,
        "url": None,
    }


def render_session_lines(account: StripeAccount, session: CheckoutSession) -> list[Json]:
    """The lines of a Checkout session, each with its taxes."""
    charge = account.get_charge(session.charge)
    return [
        {
            "id": f"li_{session.id[-18:]}{position:02}",
            "object": "item",
            "adjustable_quantity": None,
            "amount_discount": 0,
            "amount_subtotal": line.amount,
            "amount_tax": line.tax,
            "amount_total": line.amount,
            "currency": charge.currency,
            "description": line.description,
            "metadata": {},
            "price": _price(account, session, line, position),
            "quantity": line.quantity,
            "taxes": []
            if line.percentage is None
            else [
                {
                    "amount": line.tax,
                    "rate": _tax_rate(account, line, session.created),
                    "taxability_reason": line.reason,
                    "taxable_amount": line.amount - line.tax,
                }
            ],
        }
        for position, line in enumerate(session.lines)
    ]


def _price(account: StripeAccount, session: CheckoutSession, line: SoldLine, position: int) -> Json | None:
    """The price that a line was sold at, where the shop keeps its products at Stripe and says their numbers there."""
    if line.sku is None:
        return None
    charge = account.get_charge(session.charge)
    unit_amount = line.amount // max(line.quantity, 1)
    return {
        "id": f"price_{session.id[-18:]}{position:02}",
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": session.created,
        "currency": charge.currency,
        "custom_unit_amount": None,
        "livemode": account.livemode,
        "lookup_key": None,
        "metadata": {"sku": line.sku},
        "nickname": None,
        "product": line.product or f"prod_{position}",
        "recurring": None,
        "tax_behavior": "inclusive",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
    }


def _tax_rate(account: StripeAccount, line: SoldLine, created: int) -> Json:
    return {
        "id": f"txr_1{account.id[-10:]}{line.country}",
        "object": "tax_rate",
        "active": False,
        "country": line.country,
        "created": created,
        "description": None,
        "display_name": "VAT",
        "effective_percentage": _number(line.percentage),
        "flat_amount": None,
        "inclusive": True,
        "jurisdiction": line.country,
        "jurisdiction_level": "country",
        "livemode": account.livemode,
        "metadata": {},
        "percentage": _number(line.percentage),
        "rate_type": "percentage",
        "state": None,
        "tax_type": "vat",
    }


def render_invoice(account: StripeAccount, invoice: Invoice) -> Json:
    """A paid invoice. Its taxes name their rates by id only, as this version of the interface has it."""
    charge = account.get_charge(invoice.charge)
    total = sum(line.amount for line in invoice.lines)
    tax = sum(line.tax for line in invoice.lines)
    return {
        "id": invoice.id,
        "object": "invoice",
        "account_country": "SE",
        "account_name": account.name,
        "amount_due": total,
        "amount_overpaid": 0,
        "amount_paid": total,
        "amount_paid_off_stripe": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "attempt_count": 1,
        "attempted": True,
        "auto_advance": False,
        "automatic_tax": {"enabled": True, "liability": {"type": "self"}, "provider": "stripe", "status": "complete"},
        "collection_method": "charge_automatically",
        "created": invoice.created,
        "currency": charge.currency,
        "customer": charge.customer or "cus_unknown",
        "customer_address": _address(charge.country, charge.address),
        "customer_email": charge.email,
        "customer_name": charge.name,
        "customer_tax_exempt": invoice.tax_exempt,
        "customer_tax_ids": [{"type": kind, "value": value} for kind, value in invoice.tax_ids],
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"type": "self"},
        "lines": {
            "object": "list",
            "data": [_invoice_line(account, invoice, line, position) for position, line in enumerate(invoice.lines)],
            "has_more": False,
            "url": f"/v1/invoices/{invoice.id}/lines",
        },
        "livemode": account.livemode,
        "metadata": {},
        "number": f"{invoice.id[-8:].upper()}-0001",
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": invoice.created,
        "period_start": invoice.created,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "paid",
        "status_transitions": {
            "finalized_at": invoice.created,
            "marked_uncollectible_at": None,
            "paid_at": charge.created,
            "voided_at": None,
        },
        "subtotal": total,
        "total": total,
        "total_excluding_tax": total - tax,
    }


def _invoice_line(account: StripeAccount, invoice: Invoice, line: SoldLine, position: int) -> Json:
    charge = account.get_charge(invoice.charge)
    return {
        "id": f"il_1{invoice.id[-18:]}{position:02}",
        "object": "line_item",
        "amount": line.amount,
        "currency": charge.currency,
        "description": line.description,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "livemode": account.livemode,
        "metadata": {},
        "period": {"end": invoice.created, "start": invoice.created},
        "pricing": {
            "type": "price_details",
            "price_details": {"price": f"price_{position}", "product": line.product or f"prod_{position}"},
            "unit_amount_decimal": str(line.amount // max(line.quantity, 1)),
        },
        "quantity": line.quantity,
        "subtotal": line.amount,
        "taxes": []
        if line.percentage is None
        else [
            {
                "amount": line.tax,
                "tax_behavior": "inclusive",
                "tax_rate_details": {"tax_rate": f"txr_1{account.id[-10:]}{line.country}"},
                "taxability_reason": line.reason,
                "taxable_amount": line.amount - line.tax,
                "type": "tax_rate_details",
            }
        ],
    }


def render_invoice_payment(account: StripeAccount, payment: InvoicePayment) -> Json:
    """The link between a Stripe invoice and a PaymentIntent."""
    return {
        "id": payment.id,
        "object": "invoice_payment",
        "amount_paid": payment.amount,
        "amount_requested": payment.amount,
        "created": payment.created,
        "currency": payment.currency,
        "invoice": payment.invoice,
        "is_default": True,
        "livemode": account.livemode,
        "payment": {"payment_intent": payment.payment_intent, "type": "payment_intent"},
        "status": "paid",
        "status_transitions": {"canceled_at": None, "paid_at": payment.created},
    }


def render_webhook_endpoint(account: StripeAccount, endpoint: WebhookEndpoint, with_secret: bool = False) -> Json:
    """A webhook address; its secret is told once, in the answer to its making."""
    rendered: Json = {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "api_version": endpoint.api_version,
        "application": None,
        "created": endpoint.created,
        "description": endpoint.description,
        "enabled_events": list(endpoint.enabled_events),
        "livemode": account.livemode,
        "metadata": dict(endpoint.metadata),
        "status": "enabled",
        "url": endpoint.url,
    }
    if with_secret:
        rendered["secret"] = endpoint.secret
    return rendered


def render_account(account: StripeAccount) -> Json:
    """The account itself. `created` is missing, as it is in practice for one's own account."""
    return {
        "id": account.id,
        "object": "account",
        "business_profile": {
            "annual_revenue": None,
            "estimated_worker_count": None,
            "mcc": "5941",
            "name": account.name,
            "support_address": None,
            "support_email": None,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": account.country,
        "default_currency": account.default_currency,
        "details_submitted": True,
        "email": account.email,
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/accounts/{account.id}/external_accounts",
        },
        "metadata": {},
        "payouts_enabled": account.payouts_enabled,
        "settings": {
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "card_payments": {
                "statement_descriptor_prefix": None,
                "statement_descriptor_prefix_kana": None,
                "statement_descriptor_prefix_kanji": None,
            },
            "dashboard": {"display_name": account.name, "timezone": "Europe/Stockholm"},
            "payments": {
                "statement_descriptor": account.name.upper()[:22],
                "statement_descriptor_kana": None,
                "statement_descriptor_kanji": None,
            },
            "payouts": {
                "debit_negative_balances": True,
                "schedule": {
                    "delay_days": account.schedule_delay_days,
                    "interval": "daily" if account.payouts_enabled else "manual",
                },
                "statement_descriptor": None,
            },
        },
        "type": "standard",
    }


def render_balance(account: StripeAccount) -> Json:
    """What the account holds now, per currency, available and pending."""
    balances = account.balances()

    def part(position: int) -> list[Json]:
        return [
            {"amount": amounts[position], "currency": currency, "source_types": {"card": amounts[position]}}
            for currency, amounts in sorted(balances.items())
        ]

    return {"object": "balance", "available": part(0), "livemode": account.livemode, "pending": part(1)}


def render_by_id(account: StripeAccount, object_id: str, version: str = API_VERSION) -> Json | None:
    """Any object of an account by its id, or None where there is none."""
    if (row := account.ledger.get(object_id)) is not None:
        return render_balance_transaction(account, row)
    if (charge := account.charges.get(object_id)) is not None:
        return render_charge(account, charge, version)
    if (charge_id := account.charge_of_intent.get(object_id)) is not None:
        return render_payment_intent(account, account.get_charge(charge_id), version)
    if (refund := account.refunds.get(object_id)) is not None:
        return render_refund(account, refund)
    if (dispute := account.disputes.get(object_id)) is not None:
        return render_dispute(account, dispute)
    if (payout := account.payouts.get(object_id)) is not None:
        return render_payout(account, payout)
    if (topup := account.topups.get(object_id)) is not None:
        return render_topup(account, topup)
    if (customer := account.customers.get(object_id)) is not None:
        return render_customer(account, customer)
    if (session := account.sessions.get(object_id)) is not None:
        return render_checkout_session(account, session)
    if (invoice := account.invoices.get(object_id)) is not None:
        return render_invoice(account, invoice)
    return None


def render_event(
    account: StripeAccount,
    event: Event,
    version: str = API_VERSION,
    *,
    pending_webhooks: int = 0,
    connect: bool = False,
) -> Json:
    """An event with its object; `connect` names the account, as events of connected accounts do."""
    snapshot = event.snapshot
    if snapshot is None:
        snapshot = render_by_id(account, event.object_id, version)
    if snapshot is None:
        snapshot = {"id": event.object_id, "object": "application", "name": "Kvitt (sandbox)"}
    rendered: Json = {
        "id": event.id,
        "object": "event",
        "api_version": version,
        "created": event.created,
        "data": {"object": snapshot},
        "livemode": account.livemode,
        "pending_webhooks": pending_webhooks,
        "request": {"id": None, "idempotency_key": None},
        "type": event.type,
    }
    if connect:
        rendered["account"] = account.id
    return rendered
