"""Systems and labelled examples -> figures; ``evaluating`` is the entry."""
