"""Small tools that know nothing of questions and papers; no unit above is imported here."""
