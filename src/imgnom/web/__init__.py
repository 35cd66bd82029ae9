"""Floor 2: what every page shares. Words in two languages, guards, headers, forms, paging, limits."""
