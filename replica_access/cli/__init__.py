"""The command line: parses, calls one use of the workflow, prints. Nothing else prints or exits."""
