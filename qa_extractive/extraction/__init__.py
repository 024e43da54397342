"""Many fields of one text: a question each, its verbatim quote, and the value that the quote states."""
