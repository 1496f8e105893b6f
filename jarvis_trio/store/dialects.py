"""How each database says what `schema` wants. Pure text."""

from __future__ import annotations

import re

from jarvis_trio.store.schema import TRIGGERS, Table


class SqliteDialect:
    """The words of SQLite, which are those of `schema`."""

    def make_table(self, name: str, table: Table) -> str:
        columns = [f"{column} {type_}" for column, type_ in table.columns.items()]
        body = ", ".join([*columns, table.key] if table.key else columns)
        return f"CREATE TABLE {name} ({body}){' WITHOUT ROWID' if table.by_key else ''}"

    def add_column(self, table: str, column: str, type_: str) -> str:
        return f"ALTER TABLE {table} ADD COLUMN {column} {added_type(type_)}"

    def make_index(self, name: str, index: str) -> str:
        return index_statement(name, index)

    def make_trigger(self, name: str) -> list[str]:
        return [f"DROP TRIGGER IF EXISTS {name}", self._trigger(name)]

    def trigger_mark(self, name: str) -> str:
        return on_one_line(self._trigger(name))

    def _trigger(self, name: str) -> str:
        when, then = TRIGGERS[name]
        return f"CREATE TRIGGER {name} {when} BEGIN{then}END"


def added_type(type_: str) -> str:
    """The type of a column that old rows get: it must have a value for them, and cannot be a key."""
    needs = " UNIQUE" if "DEFAULT" in type_ else " UNIQUE| NOT NULL"
    return re.sub(needs, "", type_)


def index_statement(name: str, index: str) -> str:
    """The statement for an index as `schema` writes it: `[UNIQUE ]table (columns)[ WHERE ...]`."""
    unique = "UNIQUE " if index.startswith("UNIQUE ") else ""
    return f"CREATE {unique}INDEX {name} ON {index.removeprefix('UNIQUE ')}"


def default_of(type_: str) -> str:
    """What a column holds in a row that was there before it, as SQL."""
    found = re.search(r"DEFAULT (\S+)", type_)
    return found[1] if found else "NULL"


def on_one_line(sql: str) -> str:
    """A statement without its line breaks, to be compared."""
    return " ".join(sql.split())
