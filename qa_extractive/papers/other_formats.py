"""What to do with files that are no papers in a format that is read."""

from __future__ import annotations

from typing import Final

_TABLE = "a table already: give it to infer.py --batch, which finds its columns by their names"
_SHEET = "a spreadsheet of another kind: save it as .xlsx, or the sheet as CSV in UTF-8"
_DOCUMENT = "a word processor's document: save it as plain text (.txt, UTF-8)"
_ARCHIVE = "an archive: unpack it into the folder"
_PICTURE = "a picture: recognize its text first, and save that as .txt"
_PAGE = "a web page: save its text as .txt, or get the paper as XML"

# By the end of a file's name, in small letters.
ADVICE: Final = {
    ".ps": "PostScript: extract its text first, and save that as .txt",
    ".parquet": _TABLE,
    **dict.fromkeys((".xls", ".xlsm", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".docx", ".doc", ".odt", ".rtf", ".pages"), _DOCUMENT),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar", ".bz2", ".xz"), _ARCHIVE),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff"), _PICTURE),
    **dict.fromkeys((".html", ".htm", ".xhtml", ".mhtml", ".epub"), _PAGE),
    **dict.fromkeys((".md", ".tex", ".rst"), "marked-up text: save it as plain text (.txt, UTF-8)"),
}
_AS_RECORDS = "export it as RIS or MEDLINE (.nbib), or as XML"
# By what a file holds: the kind of what is skipped, and the reason.
EXPORT_ADVICE: Final = {
    "rtf": ("another format", _DOCUMENT),
    "html": ("another format", _PAGE),
    "several records": ("an export", f"several records in one text: {_AS_RECORDS}"),
    "numbers": ("no text", "a list of numbers, of papers perhaps: get their records"),
}
