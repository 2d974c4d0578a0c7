"""One session an account and Region, for all specs of one run that name it."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from replica_access.aws.hosting import RdsHosting
from replica_access.aws.session import Aws
from replica_access.spec import Aws as Settings
from replica_access.spec import Spec


class Accounts:
    """Opens each account once: its credentials are fetched once, and all its specs slow down once AWS throttles one.

    Threads may share it.
    """

    def __init__(self) -> None:
        self._opened: dict[Settings, Future[Aws]] = {}
        self._lock = threading.Lock()

    def hosting(self, spec: Spec, *, timeout_s: float) -> RdsHosting:
        """Return where the servers of `spec` live.

        :raises CredentialsError: AWS lets nobody in, or it is another account.
        """
        with self._lock:
            opened = self._opened.get(spec.aws)
            is_ours = opened is None
            if opened is None:
                opened = self._opened[spec.aws] = Future()
        if is_ours:
            try:
                opened.set_result(Aws.open(spec.aws))
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is everybody's answer
                opened.set_exception(error)
        return RdsHosting(opened.result(), spec, timeout_s)
