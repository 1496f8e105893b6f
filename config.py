"""The settings as constants, read from the environment when this module is imported.

An application that is wrapped with `run --app-dir` has a `config` of its own, which then
takes this one's place; so there is nothing here but the names.
"""

from __future__ import annotations

import os
from pathlib import Path

from jarvis_trio.settings import default_data_dir, read_settings

_settings = read_settings(os.environ, default_data_dir(Path(__file__), os.environ))

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
