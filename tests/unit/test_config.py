"""Configuration files, broken in every way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamis.config import Config, load, parse, preset_text
from tamis.errors import ConfigurationError
from tamis.service import Tamis


def _error(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, path="tamis.toml")
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("[server", 1, 8, "Expected"),
        ('[server]\nlisten = "127.0.0.1:7601', 2, 25, ""),
        ("[server]\nlisten = 1\n", 2, 1, "server.listen"),
        ("[server]\n\n  prot = 1\n", 3, 3, "unknown key 'prot'; allowed here: cache_directory"),
        ('[server]\nlisten = "0.0.0.0:1"\n', 2, 1, "loopback"),
        ('[server]\nlisten = "localhost"\n', 2, 1, "HOST:PORT"),
        ('[server]\nlisten = "127.0.0.1:70000"\n', 2, 1, "HOST:PORT"),
        ("[server]\ndefault_deadline = 0\n", 2, 1, "greater than 0"),
        (
            "[serve]\n",
            1,
            2,
            "unknown key 'serve'; allowed here: ingest, journal, models, pipelines, planner, plugin_server, prices",
        ),
        ('[journal]\nurl = "mysql://u:s3cret@h/d"\n', 2, 1, "journal.url: is postgresql://"),
        ('[journal]\nnamespace = "pg_catalog"\n', 2, 1, "journal.namespace: must not begin with pg_"),
        ('[journal]\nnamespace = "A b"\n', 2, 1, "journal.namespace"),
        ("[stages.bm25]\n", 1, 2, "stages.bm25.plugin"),
        ('[pipelines.a]\nexpression = "x"\nfusion = { kind = "sum" }\n', 3, 1, "pipelines.a.fusion.kind"),
        ('[pipelines.a]\nexpression = "x"\n[pipelines.a.fusion]\nkk = 3\n', 4, 1, "allowed here: k, kind, weights"),
    ],
)
def test_a_mistake_is_told_with_line_column_and_what_is_allowed(
    text: str, line: int, column: int, message: str
) -> None:
    error = _error(text)
    assert (error.path, error.line, error.column) == ("tamis.toml", line, column)
    assert message in error.message


@pytest.mark.parametrize("name", ["prior", "Bm25", "1a", "a.b", "a b", "a" * 64])
def test_a_name_that_no_expression_could_use_is_refused(name: str) -> None:
    assert "a name is a letter" in _error(f'[stages."{name}"]\nplugin = "x"\n').message


def test_models_and_stages_share_their_names() -> None:
    assert "names are shared" in _error('[models.a]\nplugin = "x"\n[stages.a]\nplugin = "y"\n').message


def test_the_default_configuration_reads_and_names_a_default_pipeline() -> None:
    config = parse(preset_text())
    assert "default" in config.pipelines
    assert config.server.listen.startswith("127.0.0.1:")


def test_an_empty_file_is_an_empty_configuration() -> None:
    assert parse("") == Config()


def test_settings_of_a_plugin_are_everything_but_its_name() -> None:
    assert parse('[stages.a]\nplugin = "x"\nsize = 3\n').stages["a"].settings == {"size": 3}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'[server]\nlisten = "\xe9"\n')
    for name, message in (("latin.toml", "not UTF-8 at byte 19"), ("none.toml", "No such file")):
        with pytest.raises(ConfigurationError) as caught:
            load(tmp_path / name)
        assert message in caught.value.message
        assert str(caught.value).startswith(str(tmp_path / name))


def test_a_file_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().origin == "(built-in default)"
    (tmp_path / "tamis.toml").write_text("[server]\ndefault_deadline = 3\n")
    assert load().server.default_deadline == 3


def test_overriding_the_server_is_checked_like_the_file() -> None:
    assert parse("").with_server(listen="127.0.0.1:0").server.listen == "127.0.0.1:0"
    with pytest.raises(ConfigurationError, match="loopback"):
        parse("").with_server(listen="8.8.8.8:1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[ingest]\nchunker = "chunk"\n[models.chunks]\nplugin = "sentences"\n', "configured chunkers: chunks"),
        ('[ingest]\nchunker = "bm25"\n[stages.bm25]\nplugin = "tantivy"\n', "not a Chunker"),
    ],
)
def test_a_chunker_that_is_none_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        Tamis(parse(text))
    assert caught.value.line == 2


def test_a_password_in_the_url_of_the_journal_is_not_shown() -> None:
    config = parse('[journal]\nurl = "postgresql://tamis:s3cret@db/tamis"\n')
    assert "s3cret" not in f"{config!r} {config} {config.model_dump()}"
    assert "s3cret" not in _error('[journal]\nurl = "mysql://u:s3cret@h/d"\n').message
