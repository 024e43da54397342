"""From a folder of examples to a model of one's own, and from that to a better one. Needs [train]."""
