"""The hyper-parameters of the three stages, one file each, in named variants."""
