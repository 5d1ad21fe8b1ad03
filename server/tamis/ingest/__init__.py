"""How documents come in: readers, the division into passages."""
