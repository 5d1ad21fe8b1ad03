"""The command calls for a tenant where it is told to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tamis.cli.app import app


@pytest.fixture(scope="module")
def shared(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server listens that knows tenants."""
    folder = tmp_path_factory.mktemp("tenants")
    file = folder / "tamis.toml"
    file.write_text(f'{config.read_text()}\n[tenancy]\nheader = "x-tamis-tenant"\nrequired = false\n')
    command = [sys.executable, "-m", "tamis.cli.app", "serve", "--config", file, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--data-directory", folder / "data"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("listening on ").strip()
        process.terminate()
        assert process.wait(60) == 0


def test_a_tenant_is_named_by_option_or_environment(tamis: Any, shared: str) -> None:
    for tenant in ("acme", "other"):
        assert tamis("collections", "create", "docs", "--tenant", tenant, "--address", shared).returncode == 0
    listed = tamis("collections", "list", "--json", "--address", shared, TAMIS_TENANT="acme")
    assert [each["id"] for each in json.loads(listed.stdout)["collections"]] == ["docs"]
    everything = tamis("collections", "list", "--json", "--address", shared)
    assert [each["id"] for each in json.loads(everything.stdout)["collections"]] == ["acme/docs", "other/docs"]
    searched = tamis("search", "sauce", "--tenant", "nobody", "--collection", "docs", "--address", shared, "--json")
    assert searched.returncode != 0


def test_every_command_that_asks_a_server_can_name_a_tenant() -> None:
    group: Any = typer.main.get_command(app)
    pending, found = [*group.commands.values()], 0
    while pending:
        command = pending.pop()
        pending += getattr(command, "commands", {}).values()
        options = {option for each in command.params for option in each.opts}
        if "--address" in options:
            found += 1
            assert "--tenant" in options, command.name
    assert found >= 8


def test_a_shared_collection_is_made_by_an_operator_and_changed_by_tenants(tamis: Any, shared: str) -> None:
    assert tamis("collections", "create", "team", "--shared", "--address", shared).returncode == 0
    refused = tamis("collections", "create", "ours", "--shared", "--tenant", "acme", "--address", shared)
    assert (refused.returncode, refused.stdout) == (5, "")
    deleting = ["documents", "delete", "nobody", "-C", "team", "--json", "--address", shared]
    deleted = tamis(*deleting, TAMIS_TENANT="acme")
    assert json.loads(deleted.stdout) == {"deleted_count": 0, "sequence": "0"}
    listed = tamis("generations", "list", "team", "--tenant", "acme", "--address", shared)
    assert listed.stdout == "tenants share team; its generations are for an operator to see\n"
    verified = tamis("verify", "--tenant", "acme", "--json", "--address", shared)
    assert {each["collection"] for each in json.loads(verified.stdout)} <= {"docs"}
