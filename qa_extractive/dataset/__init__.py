"""The path of ``data`` before its folder was renamed; only what was used from outside is here."""
