"""The route of ``/v1/papers``: a file to the papers in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request

from qa_extractive.service.bodies import UPLOAD_PATH
from qa_extractive.service.exchange import context_of
from qa_extractive.service.failures import FieldsError
from qa_extractive.service.paper_schemas import PapersBody
from qa_extractive.service.responses import ERRORS, Json
from qa_extractive.service.uploads import Uploads

_MOST_PASSAGES, _MOST_PAGES = 10_000, 100_000  # as /v1/evidence takes
_FILE = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
_BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": _FILE}}}
_Name = Annotated[
    str,
    Query(
        min_length=1,
        max_length=1000,
        description="Of the file. How it ends says, with what the file holds, how it is read.",
    ),
]


def add_papers(app: FastAPI, uploads: Uploads) -> None:
    """Add it."""

    @app.post(
        UPLOAD_PATH,
        tags=["papers"],
        responses={200: {"model": PapersBody}, **ERRORS},
        openapi_extra=_BODY,
    )
    async def papers(request: Request, name: _Name) -> Json:
        """The papers in a file, called `?name=FILE`, that is the body: a PDF, an export, a table or a text.

        They can be sent to `/v1/evidence`. The file is not kept.
        """
        content = await request.body()
        if not content:
            raise FieldsError(("body", "must hold a file"))
        found = await uploads.read(content, name)
        notes = context_of(request.scope).notes
        notes |= {"n_papers": len(found["papers"]), "n_skipped": len(found["skipped"])}
        return Json({"papers": [_paper(each, name) for each in found["papers"]], "skipped": found["skipped"]})


def _paper(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    same = {key: values[key] for key in ("title", "authors", "year", "doi", "text", "record")}
    return same | {
        "id": values["pmid"] or values["doi"],
        "passages": values["passages"] if len(values["passages"]) <= _MOST_PASSAGES else [],
        "pages": values["pages"] if len(values["pages"]) <= _MOST_PAGES else [],
        "file": name,
    }
