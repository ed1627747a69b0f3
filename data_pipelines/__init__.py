"""From corpora to records: sources, face tracking, the built-in corpus, reports."""
