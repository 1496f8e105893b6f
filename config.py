"""The settings of this checkout as constants, read when this module is imported.

They come from the environment or the settings file, and are checked: a bad value raises an error
that names the variable, the value and what is allowed. The program itself does not import this
module, and an installed package has none: the name `config` is too common to be owned, and an
application that is wrapped with `run --app-dir` brings its own. Both read the same settings
through `jarvis_trio.settings.own_settings`.
"""

from __future__ import annotations

import os
from pathlib import Path

from jarvis_trio.settings import own_settings

_settings = own_settings(os.environ, Path(__file__))

DATA_DIR = _settings.data_dir
MEMORY_DB_PATH = _settings.memory_db_path
DAEMON_TICK_INTERVAL_SECONDS = _settings.tick_interval_seconds
DAEMON_LOG_FILE = _settings.log_file
DAEMON_MAX_CONCURRENT_TASKS = _settings.max_concurrent_tasks
SCHEDULER_HANDLER_TIMEOUT_SECONDS = _settings.handler_timeout_seconds
WEBHOOK_INBOX_DIR = _settings.webhook_inbox_dir
JARVIS_HISTORY_DAYS = _settings.history_days
JARVIS_HISTORY_RUNS = _settings.history_runs
JARVIS_ALERT_CHANNEL = _settings.alert_channel
JARVIS_ALERT_CONFIG = _settings.alert_config
JARVIS_DATABASE_URL = _settings.database_url
JARVIS_MACHINE = _settings.machine
JARVIS_LABELS = _settings.labels
JARVIS_TAKES = _settings.takes
