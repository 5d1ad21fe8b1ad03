"""A real PostgreSQL for tests: a server of their own, which may be killed, and a journal for each."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg import sql

from tamis.journal import PostgresAddress

__all__ = ["Cluster", "binaries"]

PASSWORD = "sieve-and-sauce"
_PATIENCE = 30.0


def binaries() -> Path | None:
    """The folder with PostgreSQL's programs, the newest version first; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda each: int(each.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class Cluster:
    """One server behind a Unix socket, with `fsync` on, passwords asked for, and a language that sorts unlike bytes."""

    def __init__(self, programs: Path) -> None:
        """Makes and starts it."""
        self._programs = programs
        self._user = _user()
        self._folder = Path(tempfile.mkdtemp(prefix="tamis-pg-"))
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        (self._folder / "password").write_text(PASSWORD)
        if self._user is not None:
            for each in (self._folder, self._folder / "password"):
                shutil.chown(each, self._user)
        self._run(
            "initdb", "-U", "tamis", "-A", "scram-sha-256", f"--pwfile={self._folder / 'password'}", "-E", "UTF8",
            "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en", "--no-sync", "-D", str(self.data),
        )  # fmt: skip
        self.start()

    @property
    def data(self) -> Path:
        return self._folder / "data"

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(self._folder / ".s.PGSQL.5432")

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        """The URL of a database."""
        secret = f":{password}" if password else ""
        return f"postgresql://tamis{secret}@/{database}?host={self._folder}"

    def journal(self) -> PostgresAddress:
        """A journal that nobody else uses: a namespace of its own, which is sooner made than a database."""
        return PostgresAddress(self.url(), f"test_{next(self._numbers)}")

    def execute(self, statement: str, *values: object, database: str = "postgres") -> list[tuple[object, ...]]:
        """Runs one statement."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            rows = connection.execute(sql.SQL(statement), values)
            return rows.fetchall() if rows.description else []

    def start(self, *settings: str) -> None:
        """Returns once it answers. `settings` are of the form `name=value`."""
        command = [str(self._programs / "postgres"), "-D", str(self.data), "-k", str(self._folder)]
        for each in ("listen_addresses=", "fsync=on", "shared_buffers=16MB", *settings):
            command += ["-c", each]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, user=self._user, cwd=self._folder, start_new_session=True
            )
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise AssertionError((self._folder / "log").read_text(errors="replace")[-2_000:]) from None
                time.sleep(0.02)

    def kill(self) -> None:
        """Ends all of its processes at once, none of which can tell anybody; each has a session of its own."""
        assert self._process is not None
        pid = self._process.pid
        os.kill(pid, signal.SIGSTOP)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            os.kill(each, signal.SIGKILL)
        self._process.wait()
        for child in children:  # they are not ours to wait for, and share the memory that the next start wants
            while not _is_dead(child):
                time.sleep(0.01)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self, mode: str = "fast") -> None:
        """`immediate` ends every session at once and leaves the rest to the recovery of the next start."""
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")
        assert self._process is not None
        self._process.wait()

    def remove(self) -> None:
        """Ends it and removes its files."""
        assert self._process is not None
        if self._process.poll() is None:
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, user=self._user, cwd=self._folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _is_dead(pid: str) -> bool:
    """Also when nobody has asked yet how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def _user() -> int | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise AssertionError("no user to run PostgreSQL as")
