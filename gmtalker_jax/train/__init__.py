"""Training: a config and records become a workdir."""
