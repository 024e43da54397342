"""The path of ``inference`` before its folder was renamed; only what was documented is here."""
