"""The contract of a record, and the way from records to batches."""
