"""Reports of an audit, a file a format; each is a function from a `Report` to text."""
