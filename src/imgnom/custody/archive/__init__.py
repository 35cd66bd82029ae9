"""The separate database of Article 4: values of those who left, under fresh keys with a due date (A4.1①②)."""
