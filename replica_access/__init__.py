"""Read access to production PostgreSQL data without touching production."""

__version__ = "0.1.0"
