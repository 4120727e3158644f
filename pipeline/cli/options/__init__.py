"""Options that several verbs have in common."""
