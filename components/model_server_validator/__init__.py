"""ModelServerValidator: the candidate in the embedded server, asked about real videos."""
