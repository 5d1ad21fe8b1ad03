"""The package that `tamis plugin new` writes: templates of `string.Template`, filled in and put in place at once."""

from tamis.cli.scaffold.kinds import KINDS, Kind
from tamis.cli.scaffold.naming import Names, problem_of
from tamis.cli.scaffold.writing import LICENSES, Project, write

__all__ = ["KINDS", "LICENSES", "Kind", "Names", "Project", "problem_of", "write"]
