"""The networks, as pure linen modules."""
