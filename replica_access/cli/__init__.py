"""The command line: parses, calls one use of the workflow, prints. Nothing else prints or exits."""

import gc

# What is imported stays to the end: to look through it for garbage every 700 objects took a tenth of a short command.
gc.set_threshold(100_000)
