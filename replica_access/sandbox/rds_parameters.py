"""What RDS knows of the parameters of PostgreSQL: which there are, what they may be, and who may set them.

Names, limits and kinds are the server's own. RDS has a parameter in the unit of the server, as a plain number, and says
0 and 1 where the server says off and on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from moto.rds.exceptions import RDSClientError

from replica_access.sandbox import rds_like

__all__ = ["PER_CALL", "Catalogue"]

PER_CALL = 20

SETTINGS = """
SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', name, 'about', short_desc, 'unit', unit,
    'context', context, 'type', vartype, 'least', min_val, 'most', max_val, 'choices', enumvals) ORDER BY name)
FROM pg_catalog.pg_settings WHERE context <> 'internal' AND category NOT LIKE 'Developer Options'"""

# RDS's own, as the user guide describes them.
OWN = (
    {"name": "rds.force_ssl", "about": "Force SSL connections.", "context": "sighup", "type": "bool"},
    {"name": "rds.logical_replication", "about": "Enables logical decoding.", "context": "postmaster", "type": "bool"},
    {
        "name": "rds.log_retention_period",
        "about": "Amount of time to keep logs, in minutes.",
        "context": "sighup",
        "type": "integer",
        "least": "1440",
        "most": "10080",
    },
)

# What RDS keeps to itself: where files are, how clients get in, and what replication and recovery need.
KEPT = re.compile(
    r"(allow_alter_system|archive_(command|library|mode)|cluster_name|config_file|data_(directory|sync_retry)"
    r"|dynamic_library_path|external_pid_file|fsync|full_page_writes|hba_file|hot_standby|ident_file|listen_addresses"
    r"|log_(directory|line_prefix|destination|file_mode)|logging_collector|port|primary_(conninfo|slot_name)|recovery_.*"
    r"|restore_command|ssl_(ca|cert|crl|key)_.*|ssl|unix_socket_.*|wal_level)"
)

# What RDS's default groups have set; the rest is left to the engine.
SYSTEM = {**rds_like.settings(tls=True), "max_connections": "LEAST({DBInstanceClassMemory/9531392},5000)"}
TYPES = {"bool": "boolean", "integer": "integer", "real": "float", "string": "string", "enum": "string"}


class Catalogue:
    """The parameters of the one version that the sandbox has.

    :param ask: runs a query on one of its servers.
    """

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask

    @cached_property
    def known(self) -> Mapping[str, dict[str, Any]]:
        """By name, in the form in which RDS describes them, with the values of a default group."""
        found = [*OWN, *json.loads(self._ask(SETTINGS))]
        return {each["name"]: _described(each) for each in sorted(found, key=lambda each: each["name"])}

    def of_group(self, values: Mapping[str, Mapping[str, Any]], source: str | None) -> Iterator[dict[str, Any]]:
        """Yield the parameters of a group in which `values` are set: of one source (``user``, ``system``, …) or all."""
        for name, parameter in self.known.items():
            own = values.get(name, {}).get("ParameterValue")
            shown = parameter if own is None else {**parameter, "ParameterValue": own, "Source": "user"}
            if own is not None:
                shown = {**shown, "ApplyMethod": values[name].get("ApplyMethod", "pending-reboot")}
            if source in (None, shown["Source"]):
                yield shown

    def refuse_wrong(self, parameters: Iterable[Mapping[str, Any]], *, reset: bool = False) -> None:
        """Refuse what RDS refuses to set or reset.

        :raises RDSClientError: says which, and what would be allowed.
        """
        parameters = list(parameters)
        if len(parameters) > PER_CALL:
            raise RDSClientError(
                "InvalidParameterValue", f"A maximum of {PER_CALL} parameters can be modified in a single request."
            )
        for each in parameters:
            name, value = each["ParameterName"], each.get("ParameterValue", "")
            if name not in self.known:
                raise RDSClientError("InvalidParameterValue", f"Could not find parameter with name: {name}")
            parameter = self.known[name]
            if not parameter["IsModifiable"]:
                raise RDSClientError("InvalidParameterValue", f"The parameter {name} cannot be modified.")
            if parameter["ApplyType"] == "static" and each.get("ApplyMethod") == "immediate":
                raise RDSClientError(
                    "InvalidParameterCombination", "cannot use immediate apply method for static parameter"
                )
            if not reset and not _is_allowed(value, parameter):
                allowed = parameter["AllowedValues"]
                raise RDSClientError(
                    "InvalidParameterValue",
                    f"Invalid parameter value: {value} for: {name} allowed values are: {allowed}",
                )


def _described(found: Mapping[str, Any]) -> dict[str, Any]:
    name, unit = found["name"], found.get("unit")
    value = SYSTEM.get(name)
    static = found["context"] == "postmaster"
    return {
        "ParameterName": name,
        "Description": f"({unit}) {found['about']}" if unit else found["about"],
        "Source": "engine-default" if value is None else "system",
        "ApplyType": "static" if static else "dynamic",
        "ApplyMethod": "pending-reboot" if static else "immediate",
        "DataType": "list" if name.endswith("_preload_libraries") else TYPES[found["type"]],
        "IsModifiable": not KEPT.fullmatch(name),
        **({"AllowedValues": allowed} if (allowed := _allowed(found)) else {}),
        **({} if value is None else {"ParameterValue": value}),
    }


def _allowed(found: Mapping[str, Any]) -> str:
    if found["type"] == "bool":
        return "0,1"
    if found["type"] == "enum":
        return ",".join(found["choices"])
    return f"{found['least']}-{found['most']}" if found.get("least") is not None else ""


def _is_allowed(value: str, parameter: Mapping[str, Any]) -> bool:
    allowed = parameter.get("AllowedValues", "")
    if not allowed or "{" in value:
        return True
    if limits := re.fullmatch(r"(-?[\d.e+]+)-([\d.e+]+)", allowed):
        try:
            return float(limits[1]) <= float(value) <= float(limits[2])
        except ValueError:
            return False
    return value in allowed.split(",")
