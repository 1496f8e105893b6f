"""What shells are told of our words. In bash it is quoted, since bash would run what stands in it.

A name of a task comes from the database, where any program may write. bash inserts what
completes a word as it is, so a name such as `x$(rm -r ~)` would run as soon as its line does.
zsh and fish quote by themselves; but click's script for fish cuts a word at its first comma, and
then another task's name may stand there.
"""

from __future__ import annotations

import re
from typing import ClassVar

from click.shell_completion import BashComplete, CompletionItem, FishComplete, add_completion_class

_BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete "$1")
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""
_SPECIAL = re.compile(r"[^\w@%+=:,./-]")


class QuotingBash(BashComplete):
    """bash, with each word quoted."""

    source_template: ClassVar[str] = _BASH

    def format_completion(self, item: CompletionItem[str]) -> str:
        """The word, with a backslash before each character that is not harmless everywhere."""
        quoted = _SPECIAL.sub(r"\\\g<0>", item.value)
        return f"{item.type},{quoted}"


class WholeFish(FishComplete):
    """fish, with words that hold commas."""

    source_template: ClassVar[str] = FishComplete.source_template.replace("string split ", "string split -m1 ")


def register() -> None:
    """Have click use these shells."""
    add_completion_class(QuotingBash)
    add_completion_class(WholeFish)
