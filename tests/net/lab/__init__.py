"""The laboratory: a small internet of network namespaces, and what the tests plug into it."""
