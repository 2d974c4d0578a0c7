"""Figures, as ratios within one run: ``python -m tests.bench --help``. Nothing here asserts a time."""
