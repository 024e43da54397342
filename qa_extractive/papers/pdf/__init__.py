"""PDFs as papers: text in reading order, and where in it a quote stands. Needs the extra ``papers``."""
