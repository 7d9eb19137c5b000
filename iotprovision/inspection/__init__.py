"""Looking at kits, chips, store, account and computer, for a person who wants to know; one module a subject."""
