"""The audit: who can do what, why, and is it what was declared. Pure, but for the history."""
