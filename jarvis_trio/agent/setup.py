"""What a person pastes into a client so that it starts the server. Pure.

It names absolute paths and the settings in force, since a client starts programs in a folder, and
with an environment, of its own. What people report of other servers is `spawn ENOENT`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence


def client_config(command: Sequence[str], settings: Mapping[str, str], *, read_only: bool) -> str:
    """The lines for Claude Code, and the JSON for Claude Desktop and clients that read the same.

    Args:
        command: the words that start this program, the first an absolute path.
        settings: the environment variables that the settings in force come from.
        read_only: whether the server is to look only.
    """
    words = [*command, "mcp", *(["--read-only"] if read_only else [])]
    variables = [part for name, value in settings.items() for part in ("--env", f"{name}={value}")]
    line = shlex.join(["claude", "mcp", "add", "jarvis", *variables, "--", *words])

    server = {"command": words[0], "args": words[1:], "env": dict(settings)}
    block = json.dumps({"mcpServers": {"jarvis": server}}, indent=2, ensure_ascii=False)
    return (
        f"Claude Code, in a terminal:\n\n{line}\n\nClaude Desktop and others, in their configuration file:\n\n{block}"
    )
