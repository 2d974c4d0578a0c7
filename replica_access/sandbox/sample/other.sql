-- Any other database: one schema, one table.
SET client_min_messages = warning;
BEGIN;
SET SESSION AUTHORIZATION app_owner;

CREATE SCHEMA main;
CREATE TABLE main.items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
INSERT INTO main.items (name) SELECT 'Item ' || n FROM generate_series(1, 100) AS n;

COMMIT;
