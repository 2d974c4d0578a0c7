-- What somebody computes at night, in a database of its own that belongs to the deployment.
SET client_min_messages = warning;
BEGIN;
SET SESSION AUTHORIZATION migrator;

CREATE SCHEMA warehouse;
GRANT USAGE, CREATE ON SCHEMA warehouse TO app_owner;

CREATE TABLE warehouse.daily_occupancy (
    day date,
    organisation_id int,
    occupied int NOT NULL,
    units int NOT NULL,
    PRIMARY KEY (day, organisation_id)
);
INSERT INTO warehouse.daily_occupancy
SELECT date '2026-01-01' + d, o, 20 + (d + o) % 14, 34 FROM generate_series(0, 89) AS d, generate_series(1, 60) AS o;
CREATE VIEW warehouse.occupancy_rate AS
SELECT day, round(100.0 * sum(occupied) / sum(units), 1) AS percent FROM warehouse.daily_occupancy GROUP BY day;

SET SESSION AUTHORIZATION app_owner;
CREATE TABLE warehouse.exports (id bigserial PRIMARY KEY, exported_at timestamptz NOT NULL, rows_exported int NOT NULL);
INSERT INTO warehouse.exports (exported_at, rows_exported)
SELECT timestamptz '2026-01-01 02:00+10' + n * interval '1 day', 5400 + n FROM generate_series(0, 89) AS n;

COMMIT;
