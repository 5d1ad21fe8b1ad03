"""Kills its process at a statement. `TAMIS_TEST_KILL` names it: BEFORE or AFTER, a blank, how the statement begins;
after the word COMMIT it is the next commit behind that statement."""

import os
import signal
import sqlite3

_WHEN, _, _BEGINNING = os.environ.get("TAMIS_TEST_KILL", "").partition(" ")
_COMMITS = _BEGINNING.startswith("COMMIT ")
_STATEMENT = _BEGINNING.removeprefix("COMMIT ")


class _Connection(sqlite3.Connection):
    """Dies as it was told to."""

    _seen = False

    def execute(self, statement, *values):  # type: ignore[no-untyped-def]
        begun = statement.startswith(_STATEMENT)
        self._seen = self._seen or begun
        strikes = self._seen and statement == "COMMIT" if _COMMITS else begun
        if strikes and _WHEN == "BEFORE":
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().execute(statement, *values)
        if strikes and _WHEN == "AFTER":
            os.kill(os.getpid(), signal.SIGKILL)
        return done


if _STATEMENT:
    _connect = sqlite3.connect
    sqlite3.connect = lambda *arguments, **settings: _connect(*arguments, factory=_Connection, **settings)
