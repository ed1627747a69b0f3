"""The disk: heads, media, checkpoints, bundles, metrics."""
