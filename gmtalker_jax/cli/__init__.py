"""The composition root: the only floor that knows flags, configs and every other floor."""
