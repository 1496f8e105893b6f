# ruff: noqa: DTZ005, BLE001  # naive times and a broad border: that is what has to be lived with
import json
import logging
from datetime import datetime, timedelta

from memory.store import MemoryStore

from .handlers import run_handler

logger = logging.getLogger(__name__)


class SchedulerEngine:
    def __init__(self, memory_store: MemoryStore, agent_registry=None):
        self.memory_store = memory_store
        self.agent_registry = agent_registry

    def evaluate_due_tasks(self, now=None):
        now = now or datetime.now()
        return [self._execute(task, now) for task in self.memory_store.get_due_tasks(now=now.isoformat())]

    def _execute(self, task, now):
        result = {"task_id": task.id, "name": task.name, "handler_type": task.handler_type}
        next_run = (now + timedelta(minutes=json.loads(task.schedule_config)["minutes"])).isoformat()
        self.memory_store.update_scheduled_task(task.id, next_run_at=next_run, last_run_at=now.isoformat())
        logger.info("Running %s", task.name)
        try:
            result["result"] = run_handler(task, self.memory_store)
            self.memory_store.update_scheduled_task(task.id, last_result=result["result"])
            result.update(status="executed", next_run_at=next_run)
        except Exception as error:
            logger.error(f"Error executing task {task.name}: {error}")
            result.update(status="error", error=str(error))
        return result
