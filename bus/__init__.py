"""NATS: subjects, the journal, consumers, identities, the embedded server."""
