"""The company and its settings, over the interface."""

from __future__ import annotations

import re
from typing import Any

from addon.sandbox.fortnox import fields, render
from addon.sandbox.fortnox.books import ModeOfPayment
from addon.sandbox.fortnox.company import FortnoxCompany
from addon.sandbox.fortnox.errors import (
    ALREADY_EXISTS,
    COST_CENTER_NOT_FOUND,
    FIELD_MISSING,
    MODE_NOT_FOUND,
    YEAR_NOT_FOUND,
    ApiError,
    not_found,
)
from addon.sandbox.fortnox.frame import Frame, Reply
from addon.sandbox.fortnox.wire import ZERO


class CompanyInterface(Frame):
    """companyinformation, settings, modes, terms, units, currencies, cost centres, projects."""

    # -- company ------

    def company_routes(self) -> None:
        """companyinformation, settings, me, euvatlimitregulation."""
        self.route("GET", "/3/companyinformation", "companyinformation", self.company_information)
        self.route("GET", "/3/settings/company", "settings", self.company_settings)
        self.route("GET", "/3/settings/lockedperiod", "settings", self.locked_period)
        self.route("GET", "/3/me", "profile", self.me)
        self.route("GET", "/3/euvatlimitregulation", "settings", self.eu_vat_limit)

    def company_information(self, company: FortnoxCompany) -> Reply:
        """GET companyinformation."""
        shown = {
            "Address": company.address["Address"],
            "City": company.address["City"],
            "CountryCode": company.country,
            "DatabaseNumber": company.database_number,
            "CompanyName": company.name,
            "OrganizationNumber": company.organisation_number,
            "VisitAddress": "",
            "VisitCity": "",
            "VisitCountryCode": company.country,
            "VisitZipCode": "",
            "ZipCode": company.address["ZipCode"],
        }
        return Reply({"CompanyInformation": shown})

    def company_settings(self, company: FortnoxCompany) -> Reply:
        """GET settings/company: here DatabaseNumber is a string."""
        digits = "".join(c for c in company.organisation_number if c.isdigit())
        shown = {
            **company.address,
            "BG": "",
            "BIC": "",
            "BranchCode": "",
            "ContactFirstName": "",
            "ContactLastName": "",
            "Country": "Sverige" if company.country == "SE" else company.country,
            "CountryCode": company.country,
            "DatabaseNumber": str(company.database_number),
            "Domicile": company.address["City"],
            "Email": "",
            "Fax": "",
            "IBAN": "",
            "Name": company.name,
            "OrganizationNumber": company.organisation_number,
            "PG": "",
            "Phone1": "",
            "Phone2": "",
            "TaxEnabled": True,
            "VATNumber": f"{company.country}{digits}01" if digits else "",
            "VisitAddress": "",
            "VisitCity": "",
            "VisitCountry": "",
            "VisitCountryCode": "",
            "VisitName": "",
            "VisitZipCode": "",
            "WWW": "",
        }
        return Reply({"CompanySettings": shown})

    def locked_period(self, company: FortnoxCompany) -> Reply:
        """GET settings/lockedperiod."""
        if company.locked_until is None:
            match self.world.switches.locked_period_shape:
                case "empty":
                    return Reply({"LockedPeriod": {}})
                case "404":
                    raise not_found(YEAR_NOT_FOUND, "Kan inte hitta låst period.")
        return Reply({"LockedPeriod": {"EndDate": company.locked_until}})

    def me(self, company: FortnoxCompany) -> Reply:
        """GET me: the service account."""
        shown = {
            "Id": f"service-{company.database_number}",
            "Name": self.world.app_name,
            "Email": "",
            "SysAdmin": False,
            "Locale": "sv_SE",
        }
        return Reply({"MeInformation": shown})

    def eu_vat_limit(self, company: FortnoxCompany) -> Reply:
        """GET euvatlimitregulation: booked sales to consumers in other EU countries, without VAT, SEK."""
        parameters = self.parameters(["year"])
        year = self.integer(parameters, "year", company.today().year, 1900, 2200)
        total = ZERO
        for invoice in company.invoices.values():
            vat_type = company.customers[invoice.customer_number].vat_type
            if invoice.booked and invoice.invoice_date.year == year and vat_type == "EUVAT":
                total += invoice.in_sek(invoice.net)
        limit = 99680
        shown = {"IsOverLimit": total > limit, "Limit": limit, "TotalExclVat": total, "Year": str(year)}
        return Reply({"EUVatLimitRegulation": shown})

    # -- modes, terms, units ------

    def setting_routes(self) -> None:
        """modesofpayments, termsofpayments, units, labels."""
        self.route("GET", "/3/modesofpayments", "settings", self.list_modes)
        self.route("POST", "/3/modesofpayments", "settings", self.create_mode)
        self.route("GET", "/3/modesofpayments/<code>", "settings", self.get_mode)
        self.route("PUT", "/3/modesofpayments/<code>", "settings", self.update_mode)
        self.route("GET", "/3/termsofpayments", "settings", self.list_terms)
        self.route("POST", "/3/termsofpayments", "settings", self.create_terms)
        self.route("GET", "/3/termsofpayments/<code>", "settings", self.get_terms)
        self.route("GET", "/3/units", "settings", self.list_units)
        self.route("POST", "/3/units", "settings", self.create_unit)
        self.route("GET", "/3/units/<code>", "settings", self.get_unit)
        self.route("GET", "/3/labels", "settings", self.list_labels)
        self.route("POST", "/3/labels", "settings", self.create_label)

    def list_modes(self, company: FortnoxCompany) -> Reply:
        """GET modesofpayments."""
        parameters = self.parameters()
        modes = self.ordered(list(company.modes.values()), {"code": lambda m: m.code}, parameters)
        url = self.url()
        return self.page("ModesOfPayments", modes, lambda m: render.mode_of_payment(url, m), parameters)

    def _mode(self, company: FortnoxCompany, code: str) -> ModeOfPayment:
        mode = company.modes.get(code)
        if mode is None:
            raise not_found(MODE_NOT_FOUND, "Kan inte hitta betalningssättet.")
        return mode

    def get_mode(self, company: FortnoxCompany, code: str) -> Reply:
        """GET modesofpayments/{Code}."""
        return Reply({"ModeOfPayment": render.mode_of_payment(self.url(), self._mode(company, code))})

    def _mode_account(self, company: FortnoxCompany, sent: dict[str, Any]) -> int:
        text = sent.get("AccountNumber", "")
        if not isinstance(text, str) or not re.fullmatch(r"\d{4}", text):
            raise ApiError(2002462, "Kontonumret måste ha fyra siffror.")
        if int(text) not in company.accounts[company.selected_year().id]:
            raise ApiError(2001304, f"Kunde inte hitta konto ({text})")
        return int(text)

    def create_mode(self, company: FortnoxCompany) -> Reply:
        """POST modesofpayments."""
        sent = self.sent("ModeOfPayment", fields.MODE_OF_PAYMENT)
        account = self._mode_account(company, sent)
        code = sent.get("Code")
        if not isinstance(code, str):
            raise ApiError(FIELD_MISSING, "Kod måste anges.")
        if code in company.modes:
            raise ApiError(ALREADY_EXISTS, f"Betalningssättet {code} finns redan.")
        company.modes[code] = ModeOfPayment(code, sent.get("Description", ""), account)
        shown = render.mode_of_payment(self.url(), company.modes[code])
        return Reply({"ModeOfPayment": shown}, 201, "modesofpayments")

    def update_mode(self, company: FortnoxCompany, code: str) -> Reply:
        """PUT modesofpayments/{Code}."""
        mode = self._mode(company, code)
        sent = self.sent("ModeOfPayment", fields.MODE_OF_PAYMENT)
        if "AccountNumber" in sent:
            mode.account = self._mode_account(company, sent)
        mode.description = sent.get("Description", mode.description)
        return Reply({"ModeOfPayment": render.mode_of_payment(self.url(), mode)})

    def _terms(self, code: str, description: str) -> dict[str, Any]:
        return {"@url": f"{self.url()}/termsofpayments/{code}", "Code": code, "Description": description}

    def list_terms(self, company: FortnoxCompany) -> Reply:
        """GET termsofpayments."""
        items = sorted(company.terms.items())
        return self.page("TermsOfPayments", items, lambda item: self._terms(*item), self.parameters())

    def get_terms(self, company: FortnoxCompany, code: str) -> Reply:
        """GET termsofpayments/{Code}."""
        if code not in company.terms:
            raise not_found(2000429, "Kan inte hitta betalningsvillkoret.")
        return Reply({"TermsOfPayment": self._terms(code, company.terms[code])})

    def create_terms(self, company: FortnoxCompany) -> Reply:
        """POST termsofpayments; its Location is `paymentterms`, as recorded."""
        sent = self.sent("TermsOfPayment", fields.TERMS_OF_PAYMENT)
        code = sent.get("Code")
        if not isinstance(code, str):
            raise ApiError(FIELD_MISSING, "Kod måste anges.")
        company.terms[code] = sent.get("Description", "")
        return Reply({"TermsOfPayment": self._terms(code, company.terms[code])}, 201, "paymentterms")

    def _unit(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            "@url": f"{self.url()}/units/{values['Code']}",
            "Code": values["Code"],
            "CodeEnglish": values.get("CodeEnglish", ""),
            "Description": values.get("Description", ""),
        }

    def list_units(self, company: FortnoxCompany) -> Reply:
        """GET units."""
        items = [company.units[code] for code in sorted(company.units)]
        return self.page("Units", items, self._unit, self.parameters())

    def get_unit(self, company: FortnoxCompany, code: str) -> Reply:
        """GET units/{Code}."""
        if code not in company.units:
            raise not_found(2000432, "Kan inte hitta enheten.")
        return Reply({"Unit": self._unit(company.units[code])})

    def create_unit(self, company: FortnoxCompany) -> Reply:
        """POST units."""
        sent = self.sent("Unit", fields.UNIT)
        if "Code" not in sent:
            raise ApiError(FIELD_MISSING, "Kod måste anges.")
        company.units[sent["Code"]] = sent
        return Reply({"Unit": self._unit(sent)}, 201, "units")

    def list_labels(self, company: FortnoxCompany) -> Reply:
        """GET labels."""
        items = sorted(company.labels.items())
        return self.page("Labels", items, lambda i: {"Id": i[0], "Description": i[1]}, self.parameters())

    def create_label(self, company: FortnoxCompany) -> Reply:
        """POST labels."""
        sent = self.sent("Label", fields.LABEL)
        number = max(company.labels, default=0) + 1
        company.labels[number] = sent.get("Description", "")
        return Reply({"Label": {"Id": number, "Description": company.labels[number]}}, 201, "labels")

    # -- currencies ------

    def currency_routes(self) -> None:
        """currencies."""
        self.route("GET", "/3/currencies", "currency", self.list_currencies)
        self.route("POST", "/3/currencies", "currency", self.create_currency)
        self.route("GET", "/3/currencies/<code>", "currency", self.get_currency)
        self.route("PUT", "/3/currencies/<code>", "currency", self.update_currency)

    def list_currencies(self, company: FortnoxCompany) -> Reply:
        """GET currencies that the company has added."""
        parameters = self.parameters()
        items = self.ordered(list(company.currencies.values()), {"code": lambda c: c.code}, parameters)
        url = self.url()
        return self.page("Currencies", items, lambda c: render.currency(url, c, company), parameters)

    def get_currency(self, company: FortnoxCompany, code: str) -> Reply:
        """GET currencies/{Code}."""
        if code not in company.currencies:
            raise not_found(2000427, "Kan inte hitta valutan.")
        return Reply({"Currency": render.currency(self.url(), company.currencies[code], company)})

    def create_currency(self, company: FortnoxCompany) -> Reply:
        """POST currencies: code and description, automatic unless a rate is sent."""
        sent = self.sent("Currency", fields.CURRENCY)
        code = sent.get("Code")
        if not isinstance(code, str) or not re.fullmatch(r"[A-Z]{3}", code) or "Description" not in sent:
            raise ApiError(FIELD_MISSING, "Valutakod och benämning måste anges.")
        currency = company.write_currency(code, sent, new=True)
        return Reply({"Currency": render.currency(self.url(), currency, company)}, 201, "currencies")

    def update_currency(self, company: FortnoxCompany, code: str) -> Reply:
        """PUT currencies/{Code}; refused for automatic ones."""
        if code not in company.currencies:
            raise not_found(2000427, "Kan inte hitta valutan.")
        currency = company.write_currency(code, self.sent("Currency", fields.CURRENCY), new=False)
        return Reply({"Currency": render.currency(self.url(), currency, company)})

    # -- cost centres, projects ------

    def register_routes(self) -> None:
        """costcenters, projects."""
        self.route("GET", "/3/costcenters", "costcenter", self.list_cost_centers)
        self.route("POST", "/3/costcenters", "costcenter", self.create_cost_center)
        self.route("GET", "/3/costcenters/<code>", "costcenter", self.get_cost_center)
        self.route("GET", "/3/projects", "project", self.list_projects)
        self.route("POST", "/3/projects", "project", self.create_project)
        self.route("GET", "/3/projects/<number>", "project", self.get_project)

    def list_cost_centers(self, company: FortnoxCompany) -> Reply:
        """GET costcenters (seen to take no notice of `page`)."""
        url, items = self.url(), [company.cost_centers[code] for code in sorted(company.cost_centers)]
        ignores = self.world.switches.small_lists_ignore_page
        return self.page(
            "CostCenters", items, lambda v: render.cost_center(url, v), self.parameters(), ignores_page=ignores
        )

    def get_cost_center(self, company: FortnoxCompany, code: str) -> Reply:
        """GET costcenters/{Code}."""
        if code not in company.cost_centers:
            raise not_found(COST_CENTER_NOT_FOUND, "Kan inte hitta kostnadsstället.")
        return Reply({"CostCenter": render.cost_center(self.url(), company.cost_centers[code])})

    def create_cost_center(self, company: FortnoxCompany) -> Reply:
        """POST costcenters."""
        sent = self.sent("CostCenter", fields.COST_CENTER)
        if "Code" not in sent:
            raise ApiError(FIELD_MISSING, "Kod måste anges.")
        company.cost_centers[sent["Code"]] = sent
        return Reply({"CostCenter": render.cost_center(self.url(), sent)}, 201, "costcenters")

    def list_projects(self, company: FortnoxCompany) -> Reply:
        """GET projects (seen to take no notice of `page`)."""
        url, items = self.url(), list(company.projects.values())
        ignores = self.world.switches.small_lists_ignore_page
        return self.page(
            "Projects", items, lambda v: render.project_row(url, v), self.parameters(), ignores_page=ignores
        )

    def get_project(self, company: FortnoxCompany, number: str) -> Reply:
        """GET projects/{ProjectNumber}."""
        if number not in company.projects:
            raise not_found(2001161, "Kan inte hitta projektet.")
        return Reply({"Project": render.project(self.url(), company.projects[number])})

    def create_project(self, company: FortnoxCompany) -> Reply:
        """POST projects; its Location is `project`, as recorded."""
        sent = self.sent("Project", fields.PROJECT)
        number = str(sent.get("ProjectNumber") or len(company.projects) + 1)
        company.projects[number] = {**sent, "ProjectNumber": number}
        return Reply({"Project": render.project(self.url(), company.projects[number])}, 201, "project")
