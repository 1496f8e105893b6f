# ruff: noqa: DTZ005, BLE001  # naive times and a broad border: that is what has to be lived with
import json
from datetime import datetime, timedelta

from .handlers import execute_handler


class SchedulerEngine:
    def __init__(self, memory_store):
        self.memory_store = memory_store

    def evaluate_due_tasks(self, now=None):
        now = now or datetime.now()
        return [self._execute(task, now) for task in self.memory_store.get_due_tasks(now.isoformat())]

    def _execute(self, task, now):
        next_run = (now + timedelta(hours=1)).isoformat()
        self.memory_store.finish(task["id"], next_run_at=next_run, last_run_at=now.isoformat())
        result = {"task_id": task["id"], "name": task["name"], "handler_type": task["handler_type"]}
        try:
            text = execute_handler(task["handler_type"], task["handler_config"], self.memory_store)
        except Exception as error:
            return {**result, "status": "error", "error": str(error)}
        self.memory_store.finish(task["id"], last_result=text)
        return {**result, "status": json.loads(text)["status"], "result": text}
