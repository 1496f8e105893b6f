"""The channels and the handlers, each with its files where the settings say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jarvis_trio.delivery import Channels
from jarvis_trio.handlers.application.source import ENVIRONMENT_FILE, HandlerSource
from jarvis_trio.handlers.approvals import Approvals
from jarvis_trio.handlers.custom import Custom
from jarvis_trio.handlers.outputs import Outputs
from jarvis_trio.handlers.registry import Handlers, built_in
from jarvis_trio.settings import Settings

if TYPE_CHECKING:
    from jarvis_trio.handlers.application.handlers import ApplicationHandler


def make_channels(settings: Settings, environment: Mapping[str, str]) -> Channels:
    """The channels, with secrets from `environment` or a file in the data folder."""
    return Channels(environment, settings.data_dir)


def make_handlers(settings: Settings, channels: Channels, environment: Mapping[str, str] = os.environ) -> Handlers:
    """The handlers by type: those that come with the program, and those of installed packages."""
    commands = Custom(
        Approvals(settings.approvals_file),
        Outputs(settings.outputs_dir),
        environment,
        secrets_dir=settings.data_dir,
    )
    return Handlers(built_in(inbox_dir=settings.webhook_inbox_dir, commands=commands, notify=channels.notify))


def make_application_handler(
    settings: Settings, environment: Mapping[str, str], source: HandlerSource
) -> ApplicationHandler:
    """The handler that hands tasks to an application, with its variables in the data folder."""
    from jarvis_trio.handlers.application.handlers import ApplicationHandler  # noqa: PLC0415  # 5 ms, which few need

    variables, outputs = settings.data_dir / ENVIRONMENT_FILE, Outputs(settings.outputs_dir)
    return ApplicationHandler(source, settings.memory_db_path, environment, variables, outputs)
