"""Papers as they come (text, exports, JSON, JATS and PubMed XML) -> a table. Standard library only."""
