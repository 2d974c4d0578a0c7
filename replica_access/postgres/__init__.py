"""PostgreSQL: psycopg stays in here."""
