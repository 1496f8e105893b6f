import os
from pathlib import Path

BASE_DIR = Path(__file__).parent
MEMORY_DB_PATH = BASE_DIR / "data" / "memory.db"
AGENT_CONFIGS_DIR = BASE_DIR / "agent_configs"
SKILL_AUTO_EXEC_ENABLED = os.environ.get("SKILL_AUTO_EXEC_ENABLED", "")
