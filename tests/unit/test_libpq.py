"""The forms that other tools take, held against libpq's own reading of them."""

from __future__ import annotations

import pytest
from psycopg import conninfo, pq

from replica_access import libpq
from replica_access.errors import UsageError
from replica_access.model import Login, Secret

ODD = "a b'c\\d:e@f/g?h#i%j&k=l[m]é+"


def own() -> dict[str, str]:
    return {option.keyword.decode(): option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}


def test_the_variables_are_libpqs() -> None:
    known = own()
    assert {key: libpq.VARIABLES[key] for key in known} == known


@pytest.mark.parametrize(
    "parameters",
    [
        {"host": "db2", "port": "6432", "user": ODD, "sslmode": "verify-full", "sslrootcert": f"/{ODD}.pem"},
        {"host": "2001:db8::7", "port": "5433", "user": "bi"},
        {"host": "db2,db3", "port": "6432,6433", "user": "bi", "target_session_attrs": "standby"},
        {"host": "db2,db3", "port": "6432", "user": "bi"},
        {"host": "/run/postgresql", "user": "bi"},
        {"hostaddr": "192.0.2.7", "port": "6432", "user": "bi"},
        {"service": "reports", "user": "bi", "options": "-c work_mem=1MB"},
    ],
)
def test_a_url_and_a_connection_string_mean_what_the_login_says(parameters: dict[str, str]) -> None:
    login = Login("x", parameters, ODD, Secret(ODD))
    wanted = {**parameters, "dbname": ODD}
    assert conninfo.conninfo_to_dict(libpq.conninfo(login)) == wanted
    found = conninfo.conninfo_to_dict(libpq.url(login))
    ports = str(found.get("port", ""))
    if parameters.get("port") == "6432" and "," in ports:  # one port for all hosts is written out
        found["port"] = "6432"
    assert found == wanted
    assert conninfo.conninfo_to_dict(libpq.url(login, with_password=True))["password"] == ODD


def test_no_form_but_those_for_it_shows_the_password() -> None:
    login = Login("x", {"host": "db2", "user": "bi"}, "app", Secret("s3cret"))
    assert "s3cret" not in libpq.url(login) + libpq.conninfo(login) + repr(login)


def test_every_host_has_its_pgpass_line() -> None:
    login = Login("x", {"host": "db2,db3", "port": "6432,6433", "user": "bi"}, "app", Secret("p"))
    assert list(libpq.pgpass(login)) == ["db2:6432:*:bi:p", "db3:6433:*:bi:p"]


@pytest.mark.parametrize(
    ("parameters", "password", "told"),
    [({"service": "reports"}, "p", "names no host"), ({"host": "db2"}, "p\nq", "line break")],
)
def test_what_no_pgpass_line_can_say(parameters: dict[str, str], password: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        list(libpq.pgpass(Login("x", parameters, "app", Secret(password))))


def test_what_no_variable_can_say() -> None:
    with pytest.raises(UsageError, match="no variable for keepalives"):
        libpq.environment(Login("x", {"host": "db2", "keepalives": "0"}))
