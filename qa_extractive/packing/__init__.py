"""The path of ``archive`` before its folder was renamed; only what was documented is here."""
