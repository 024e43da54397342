"""Papers as they come (text, JSON, JATS and PubMed XML) -> a table. Standard library only."""
