"""PDFs as papers: their text in reading order, and where in them a quote stands. Needs the extra ``papers``."""
