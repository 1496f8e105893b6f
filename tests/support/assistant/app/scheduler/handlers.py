# ruff: noqa: PLC0415  # it imports where it uses: that is what has to be lived with
import asyncio
import json
import os
import subprocess
import sys
import threading
import time

import config


def execute_handler(handler_type, handler_config, memory_store=None, agent_registry=None, document_store=None):
    parts = {"memory_store": memory_store, "agent_registry": agent_registry, "document_store": document_store}
    handler = globals().get("_" + handler_type.strip().lower())
    if handler is None:
        return json.dumps({"status": "skipped", "message": f"Handler '{handler_type}' not yet implemented"})
    answer = handler(json.loads(handler_config or "{}"), parts)
    return json.dumps({"status": "ok", "handler": handler_type, **answer})


def _webhook_dispatch(options, parts):
    return {"pending": parts["memory_store"].count("webhook_events")}


def _skill_analysis(options, parts):
    async def ask(number):
        await asyncio.sleep(0.01)
        return number

    async def ask_all():
        return await asyncio.gather(ask(1), ask(2))

    return {"answers": asyncio.run(ask_all())}


def _proactive_push(options, parts):
    print("a word on stdout")
    print("a word on stderr", file=sys.stderr)
    return {"agents": parts["agent_registry"].names if parts["agent_registry"] else []}


def _skill_auto_exec(options, parts):
    if not config.SKILL_AUTO_EXEC_ENABLED:
        return {"status": "skipped", "reason": "SKILL_AUTO_EXEC_ENABLED is not set"}
    return {}


def _morning_brief(options, parts):
    import only_in_its_venv

    return {"brief": only_in_its_venv.BRIEF}


def _backup(options, parts):
    return {"status": "error", "error": "no disk"}


def _where(options, parts):
    names = ("HOME", "JARVIS_TASK", "JARVIS_SCHEDULED_FOR", "JARVIS_ATTEMPT", "ANTHROPIC_API_KEY", "SECRET")
    return {"folder": os.getcwd(), "python": sys.prefix, "variables": {name: os.environ.get(name) for name in names}}


def _leaves(options, parts):
    sys.exit("a handler that leaves")


def _dies(options, parts):
    print("its last words", file=sys.stderr, flush=True)
    os._exit(3)


def _breaks(options, parts):
    raise RuntimeError("a handler that breaks")


def _threads(options, parts):
    threading.Thread(target=time.sleep, args=(600,)).start()
    return {}


def _hangs(options, parts):
    subprocess.Popen(["sleep", options.get("sleep", "600")])
    time.sleep(600)


def _custom(options, parts):
    return {"stdout": subprocess.run(options["command"], shell=True, capture_output=True, text=True).stdout}
