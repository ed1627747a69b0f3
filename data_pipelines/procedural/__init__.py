"""The built-in corpus: invented people who speak, act and are photographed."""
