"""Inbox, archive and what files are attached to, over the interface."""

from __future__ import annotations

import functools
from typing import Any

from flask import request

from addon.sandbox.fortnox import fields
from addon.sandbox.fortnox.company import FileConnection, FortnoxCompany, StoredFile
from addon.sandbox.fortnox.errors import (
    VOUCHER_NOT_FOUND,
    ApiError,
)
from addon.sandbox.fortnox.frame import Frame, Reply

_INBOX_FOLDERS = {
    "inbox_a": "Tillgångar",
    "inbox_b": "Bankfiler",
    "inbox_d": "Dagskassor",
    "inbox_kf": "Kundfakturor",
    "inbox_l": "Lön",
    "inbox_o": "Order",
    "inbox_of": "Offert",
    "inbox_s": "Leverantörsfakturor",
    "inbox_v": "Verifikationer",
}


class FilesInterface(Frame):
    """inbox, archive, voucherfileconnections, attachments of invoices."""

    # -- files ------

    def file_routes(self) -> None:
        """inbox, archive, voucherfileconnections, attachments of invoices."""
        for place in ("inbox", "archive"):
            self.route("POST", f"/3/{place}", place, functools.partial(self.upload, place=place))
            self.route("GET", f"/3/{place}", place, functools.partial(self.folder, place=place))
            self.route("GET", f"/3/{place}/<identifier>", place, self.download)
        self.route("GET", "/3/voucherfileconnections", "connectfile", self.list_connections)
        self.route("POST", "/3/voucherfileconnections", "connectfile", self.connect_file)
        self.route("GET", "/3/voucherfileconnections/<file_id>", "connectfile", self.get_connection)
        self.route("DELETE", "/3/voucherfileconnections/<file_id>", "connectfile", self.disconnect_file)
        base = "/api/fileattachments/attachments-v1"
        self.route("GET", base, "connectfile", self.list_attachments)
        self.route("POST", base, "connectfile", self.attach)
        self.route("DELETE", f"{base}/<identifier>", "connectfile", self.detach)

    def _file(self, stored: StoredFile, place: str) -> dict[str, Any]:
        identifier = stored.id if place == "inbox" else stored.archive_id
        return {
            "@url": f"{self.url()}/{place}/{identifier}",
            "Id": identifier,
            "ArchiveFileId": stored.archive_id,
            "Name": stored.name,
            "Path": stored.path,
            "Size": len(stored.content),
            "Comments": "",
        }

    def upload(self, company: FortnoxCompany, place: str) -> Reply:
        """POST inbox or archive: a multipart form with the field `file`."""
        uploaded = request.files.get("file")
        if uploaded is None:
            raise ApiError(2001392, "Ingen eller felaktig typ av data.")
        path = request.args.get("path", "") or request.args.get("folderid", "") or request.args.get("folderId", "")
        if place == "inbox" and path and path.lower() not in _INBOX_FOLDERS:
            raise ApiError(2000588, "Ogiltig parameter i anropet.")
        serial = len(company.files) + 1
        tail = f"{company.database_number:012d}"
        stored = StoredFile(
            f"{serial:08x}-0000-4000-8000-{tail}",
            f"{serial:08x}-0000-4000-9000-{tail}",
            uploaded.filename or "file",
            _INBOX_FOLDERS.get(path.lower(), path),
            uploaded.stream.read(),
            company.now(),
        )
        company.files[stored.id] = stored
        return Reply({"File": self._file(stored, place)}, 201, place)

    def folder(self, company: FortnoxCompany, place: str) -> Reply:
        """GET inbox or archive: the root folder."""
        folders = [
            {"@url": f"{self.url()}/{place}/{code}", "Id": code, "Name": name}
            for code, name in _INBOX_FOLDERS.items()
            if place == "inbox"
        ]
        shown = {
            "@url": f"{self.url()}/{place}",
            "Email": "",
            "Files": [self._file(stored, place) for stored in company.files.values()],
            "Folders": folders,
            "Id": "root",
            "Name": "root",
        }
        return Reply({"Folder": shown})

    @staticmethod
    def _stored(company: FortnoxCompany, identifier: object) -> StoredFile:
        for stored in company.files.values():
            if identifier in (stored.id, stored.archive_id):
                return stored
        raise ApiError(2000704, "Filen kunde inte hittas.")

    def download(self, company: FortnoxCompany, identifier: str) -> Reply:
        """GET inbox/{Id}: the file."""
        stored = self._stored(company, identifier)
        return Reply(raw=stored.content, content_type="application/octet-stream")

    def _connection(self, company: FortnoxCompany, connection: FileConnection) -> dict[str, Any]:
        series, number, year_id = connection.voucher or ("", 0, 0)
        voucher = company.vouchers.get((series, number, year_id))
        return {
            "@url": f"{self.url()}/voucherfileconnections/{connection.file_id}",
            "FileId": connection.file_id,
            "VoucherDescription": voucher.description if voucher else "",
            "VoucherNumber": str(number),
            "VoucherSeries": series,
            "VoucherYear": year_id,
        }

    def list_connections(self, company: FortnoxCompany) -> Reply:
        """GET voucherfileconnections."""
        parameters = self.parameters(["voucherseries", "vouchernumber", "voucheryear"])
        items = [c for c in company.file_connections.values() if c.voucher is not None]
        return self.page("VoucherFileConnections", items, lambda c: self._connection(company, c), parameters)

    def connect_file(self, company: FortnoxCompany) -> Reply:
        """POST voucherfileconnections; the year from the body, from `financialyear`, or the selected one."""
        parameters = self.parameters()
        sent = self.sent("VoucherFileConnection", fields.VOUCHER_FILE_CONNECTION)
        stored = self._stored(company, sent.get("FileId"))
        year_id = sent.get("VoucherYear") or self.year(company, parameters).id
        key = (str(sent.get("VoucherSeries", "")), int(sent.get("VoucherNumber", 0)), int(year_id))
        if key not in company.vouchers:
            raise ApiError(VOUCHER_NOT_FOUND, "Kan inte hitta verifikationen.")
        connection = FileConnection(stored.archive_id, stored.archive_id, voucher=key)
        company.file_connections[connection.id] = connection
        shown = self._connection(company, connection)
        return Reply({"VoucherFileConnection": shown}, 201, "voucherfileconnections")

    def _connected(self, company: FortnoxCompany, file_id: str) -> FileConnection:
        for connection in company.file_connections.values():
            if connection.voucher is not None and connection.file_id == file_id:
                return connection
        raise ApiError(2000704, "Filen kunde inte hittas.")

    def get_connection(self, company: FortnoxCompany, file_id: str) -> Reply:
        """GET voucherfileconnections/{FileId}."""
        shown = self._connection(company, self._connected(company, file_id))
        return Reply({"VoucherFileConnection": shown})

    def disconnect_file(self, company: FortnoxCompany, file_id: str) -> Reply:
        """DELETE voucherfileconnections/{FileId}."""
        del company.file_connections[self._connected(company, file_id).id]
        return Reply(status=204)

    @staticmethod
    def _attachment(connection: FileConnection) -> dict[str, Any]:
        return {
            "entityId": int(connection.entity_id),
            "entityType": connection.entity_type,
            "fileId": connection.file_id,
            "id": connection.id,
            "includeOnSend": connection.include_on_send,
        }

    def list_attachments(self, company: FortnoxCompany) -> Reply:
        """GET attachments of one invoice (`entityid`, `entitytype=F`)."""
        wanted = request.args.get("entityid"), request.args.get("entitytype")
        items = [c for c in company.file_connections.values() if (c.entity_id, c.entity_type) == wanted]
        return Reply([self._attachment(connection) for connection in items])

    def attach(self, company: FortnoxCompany) -> Reply:
        """POST attachments: a list of them."""
        body = self.body()
        if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
            raise ApiError(2001392, "Ingen eller felaktig typ av data.")
        made = []
        for item in body:
            stored = self._stored(company, item.get("fileId"))
            if item.get("entityType") == "F":
                company.need_invoice(int(item.get("entityId", 0)))
            serial = len(company.file_connections) + 1
            connection = FileConnection(
                f"{serial:08x}-0000-4000-a000-{company.database_number:012d}",
                stored.archive_id,
                entity_id=str(item.get("entityId", "")),
                entity_type=str(item.get("entityType", "")),
                include_on_send=bool(item.get("includeOnSend", False)),
            )
            company.file_connections[connection.id] = connection
            made.append(self._attachment(connection))
        return Reply(made, 201)

    def detach(self, company: FortnoxCompany, identifier: str) -> Reply:
        """DELETE one attachment."""
        connection = company.file_connections.get(identifier)
        if connection is None or not connection.entity_id:
            raise ApiError(2000704, "Filen kunde inte hittas.", 404)
        del company.file_connections[identifier]
        return Reply(status=204)
