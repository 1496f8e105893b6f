from dataclasses import dataclass


@dataclass
class ScheduledTask:
    id: int
    name: str
    schedule_type: str
    schedule_config: str
    handler_type: str
    handler_config: str
    next_run_at: str | None
    last_result: str | None
