"""Try calls without doing them: EC2's dry runs."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from replica_access.aws.landscape import NotChecked
from replica_access.aws.preflight_plan import Verdict
from replica_access.aws.session import Aws
from replica_access.errors import AccessDenied, AwsError, CredentialsError
from replica_access.model import Call

WOULD_SUCCEED = "DryRunOperation"


def try_calls(aws: Aws, calls: Iterable[Call]) -> dict[str, Verdict]:
    """Return what EC2 says of each of `calls`, by operation; nothing is changed."""
    tried = list(calls)
    if not tried:
        return {}
    with ThreadPoolExecutor(len(tried)) as pool:
        return dict(zip((call.operation for call in tried), pool.map(lambda call: _try(aws, call), tried), strict=True))


def _try(aws: Aws, call: Call) -> Verdict:
    try:
        aws.call(call.service, call.operation, **call.parameters, DryRun=True)
    except CredentialsError:
        raise
    except AccessDenied as error:
        return error
    except AwsError as error:
        if error.code == WOULD_SUCCEED:
            return None
        return NotChecked(error.what, error.fix or "Run the same command again.")
    return NotChecked("its dry run was answered as if it had been done", "Please report this: it is a defect.")
