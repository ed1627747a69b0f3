"""What is made small: pure functions from targets and outputs to scalars."""
