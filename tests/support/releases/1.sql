BEGIN TRANSACTION;
CREATE TABLE alert_rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, description TEXT, alert_type TEXT NOT NULL,
    condition TEXT, enabled INTEGER NOT NULL DEFAULT 1, last_triggered_at TEXT, created_at TEXT);
INSERT INTO "alert_rules" VALUES(1,'old backups',NULL,'stale_backup','{"max_age_hours": 48}',1,NULL,NULL);
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, description TEXT, context TEXT,
    alternatives_considered TEXT, decided_by TEXT, owner TEXT, status TEXT NOT NULL DEFAULT 'pending_execution',
    follow_up_date TEXT, tags TEXT, source TEXT, created_at TEXT, updated_at TEXT);
INSERT INTO "decisions" VALUES(1,'which bank',NULL,NULL,NULL,NULL,NULL,'pending_execution',NULL,NULL,NULL,'2026-02-01T10:00:00',NULL);
CREATE TABLE delegations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL, description TEXT, delegated_to TEXT, delegated_by TEXT,
    due_date TEXT, priority TEXT, status TEXT NOT NULL DEFAULT 'active', source TEXT, notes TEXT,
    created_at TEXT, updated_at TEXT);
INSERT INTO "delegations" VALUES(1,'write the report',NULL,'Ada',NULL,'2026-03-01',NULL,'active',NULL,NULL,NULL,NULL);
CREATE TABLE facts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, category TEXT NOT NULL, key TEXT NOT NULL, value TEXT,
    confidence REAL, source TEXT, created_at TEXT, updated_at TEXT, UNIQUE (category, key));
INSERT INTO "facts" VALUES(1,'work','backup_last_success','2026-03-01: ok',0.9,NULL,NULL,NULL);
CREATE TABLE jarvis_meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
INSERT INTO "jarvis_meta" VALUES('schema_version','1');
INSERT INTO "jarvis_meta" VALUES('zone','America/Denver');
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run_id INTEGER, channel TEXT NOT NULL, config TEXT,
    task_name TEXT NOT NULL, status TEXT NOT NULL, result TEXT, timestamp TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL);
INSERT INTO "outbox" VALUES(1,NULL,'notification',NULL,'set aside','set aside','interval must be greater than zero in days, hours, minutes or seconds: {''minutes'': 0}','2026-03-02T02:00:00-07:00',5,1772462400000000);
INSERT INTO "outbox" VALUES(2,NULL,'notification',NULL,'late is useless','missed','2m late; more than 1m late is useless to it','2026-03-02T02:25:00-07:00',4,1772448600000000);
INSERT INTO "outbox" VALUES(3,33,'email','{"to": "a@example.org"}','fails','error','RuntimeError: no such backup','2026-03-02T02:50:00-07:00',3,1772448900000000);
INSERT INTO "outbox" VALUES(4,NULL,'notification',NULL,'fails','failing','RuntimeError: no such backup','2026-03-02T02:50:00-07:00',3,1772448900000000);
INSERT INTO "outbox" VALUES(5,40,'email','{"to": "a@example.org"}','fails','error','RuntimeError: no such backup','2026-03-02T03:40:00-07:00',1,1772448060000000);
INSERT INTO "outbox" VALUES(6,42,'email','{"to": "a@example.org"}','fails','error','RuntimeError: no such backup','2026-03-02T03:40:00-07:00',1,1772448060000000);
INSERT INTO "outbox" VALUES(7,43,'email','{"to": "a@example.org"}','fails','error','RuntimeError: no such backup','2026-03-02T03:40:00-07:00',1,1772448060000000);
INSERT INTO "outbox" VALUES(8,NULL,'notification',NULL,'fails','stale','no success for more than 1h','2026-03-02T03:40:00-07:00',1,1772448060000000);
CREATE TABLE scheduled_tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, description TEXT,
    schedule_type TEXT NOT NULL, schedule_config TEXT NOT NULL, handler_type TEXT NOT NULL, handler_config TEXT,
    enabled INTEGER NOT NULL DEFAULT 1, last_run_at TEXT, next_run_at TEXT, last_result TEXT,
    created_at TEXT, updated_at TEXT, delivery_channel TEXT, delivery_config TEXT, policy TEXT);
INSERT INTO "scheduled_tasks" VALUES(1,'every 5 minutes',NULL,'interval','{"minutes": 5}','note',NULL,1,'2026-03-02T03:40:00-07:00','2026-03-02T03:45:00-07:00','{"status": "ok", "said": "h\u00e9\u202e"}','2026-03-02T02:00:00-07:00','2026-03-02T02:00:00-07:00',NULL,NULL,NULL);
INSERT INTO "scheduled_tasks" VALUES(2,'weekday mornings',NULL,'cron','{"expression": "0 7 * * 0-4"}','note',NULL,1,NULL,'2026-03-02T23:00:00-07:00',NULL,'2026-03-02T02:00:00-07:00','2026-03-02T02:00:00-07:00',NULL,NULL,'{"timezone": "Europe/Zurich"}');
INSERT INTO "scheduled_tasks" VALUES(3,'once, done',NULL,'once','{"run_at": "2026-03-02T02:10:00"}','note',NULL,1,'2026-03-02T02:10:00-07:00',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','2026-03-02T02:00:00-07:00','2026-03-02T02:00:00-07:00',NULL,NULL,NULL);
INSERT INTO "scheduled_tasks" VALUES(4,'once, to come',NULL,'once','{"run_at": "2026-12-01T09:00:00"}','note',NULL,1,'2026-03-02T03:40:00-07:00','2026-12-01T09:00:00-07:00','{"status": "timeout", "error": "still running after 5m"}','2026-03-02T02:00:00-07:00','2026-03-02T02:00:00-07:00',NULL,NULL,NULL);
INSERT INTO "scheduled_tasks" VALUES(5,'paused',NULL,'interval','{"hours": 1}','note',NULL,0,'2026-03-02T03:40:00-07:00',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','2026-03-02T02:00:00-07:00','2026-03-02T02:00:00-07:00',NULL,NULL,NULL);
INSERT INTO "scheduled_tasks" VALUES(6,'fails',NULL,'interval','{"minutes": 10}','fail',NULL,1,'2026-03-02T03:40:00-07:00','2026-03-02T03:50:00-07:00','{"status": "error", "error": "RuntimeError: no such backup"}','2026-03-02T02:00:00-07:00','2026-03-02T02:00:00-07:00','email','{"to": "a@example.org"}','{"retries": 2, "retry_delay_seconds": 600, "alert_after_seconds": 3600}');
INSERT INTO "scheduled_tasks" VALUES(7,'unknown type',NULL,'interval','{"minutes": 15}','morning_brief',NULL,1,NULL,'2026-03-02T03:45:00-07:00',NULL,'2026-03-02T02:00:00-07:00','2026-03-02T02:00:00-07:00',NULL,NULL,NULL);
INSERT INTO "scheduled_tasks" VALUES(8,'late is useless',NULL,'interval','{"minutes": 23}','note',NULL,1,NULL,'2026-03-02T03:55:00-07:00',NULL,'2026-03-02T02:00:00-07:00','2026-03-02T02:00:00-07:00',NULL,NULL,'{"misfire_grace_seconds": 60, "alert_after_seconds": 864000}');
INSERT INTO "scheduled_tasks" VALUES(9,'set aside',NULL,'interval','{"minutes": 0}','note',NULL,0,NULL,NULL,NULL,'2026-03-02T02:00:00-07:00','2026-03-02T02:00:00-07:00',NULL,NULL,NULL);
CREATE TABLE task_deadlines (task_id INTEGER PRIMARY KEY, due_at INTEGER NOT NULL);
INSERT INTO "task_deadlines" VALUES(8,1773306000000000);
CREATE TABLE task_queue (
    task_id INTEGER NOT NULL, attempt INTEGER NOT NULL, scheduled_for INTEGER NOT NULL, due_at INTEGER NOT NULL,
    collapsed INTEGER NOT NULL DEFAULT 0, waits_from INTEGER, PRIMARY KEY (task_id, attempt, scheduled_for)
) WITHOUT ROWID;
INSERT INTO "task_queue" VALUES(1,1,1772448300000000,1772448300000000,0,1772448000000000);
INSERT INTO "task_queue" VALUES(2,1,1772517600000000,1772517600000000,0,NULL);
INSERT INTO "task_queue" VALUES(4,1,1796140800000000,1796140800000000,0,NULL);
INSERT INTO "task_queue" VALUES(6,1,1772448600000000,1772448600000000,0,1772448000000000);
INSERT INTO "task_queue" VALUES(6,2,1772448000000000,1772448624243462,0,NULL);
INSERT INTO "task_queue" VALUES(6,3,1772445000000000,1772449273072302,0,NULL);
INSERT INTO "task_queue" VALUES(7,1,1772448300000000,1772448300000000,0,1772447400000000);
INSERT INTO "task_queue" VALUES(8,1,1772448900000000,1772448900000000,0,1772447520000000);
CREATE TABLE task_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER NOT NULL, task_name TEXT NOT NULL,
    scheduled_for TEXT NOT NULL, attempt INTEGER NOT NULL, started_at TEXT NOT NULL, finished_at TEXT,
    status TEXT NOT NULL, reason TEXT, result TEXT, trigger TEXT NOT NULL DEFAULT 'schedule',
    collapsed INTEGER NOT NULL DEFAULT 0, delivery TEXT, owner TEXT, live INTEGER,
    UNIQUE (task_id, scheduled_for, attempt));
INSERT INTO "task_runs" VALUES(1,9,'set aside','2026-03-02T09:00:00+00:00',1,'2026-03-02T09:00:00+00:00','2026-03-02T09:00:00+00:00','skipped','set aside: interval must be greater than zero in days, hours, minutes or seconds: {''minutes'': 0}',NULL,'schedule',0,NULL,NULL,NULL);
INSERT INTO "task_runs" VALUES(2,1,'every 5 minutes','2026-03-02T09:05:00+00:00',1,'2026-03-02T09:05:00+00:00','2026-03-02T09:05:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(3,10,'removed','2026-03-02T09:05:00+00:00',1,'2026-03-02T09:05:00+00:00','2026-03-02T09:05:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(4,1,'every 5 minutes','2026-03-02T09:10:00+00:00',1,'2026-03-02T09:10:00+00:00','2026-03-02T09:10:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(5,3,'once, done','2026-03-02T09:10:00+00:00',1,'2026-03-02T09:10:00+00:00','2026-03-02T09:10:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(6,6,'fails','2026-03-02T09:10:00+00:00',1,'2026-03-02T09:10:00+00:00','2026-03-02T09:10:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(7,10,'removed','2026-03-02T09:10:00+00:00',1,'2026-03-02T09:10:00+00:00','2026-03-02T09:10:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(8,1,'every 5 minutes','2026-03-02T09:15:00+00:00',1,'2026-03-02T09:15:00+00:00','2026-03-02T09:15:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(9,7,'unknown type','2026-03-02T09:15:00+00:00',1,'2026-03-02T09:15:00+00:00','2026-03-02T09:15:00+00:00','skipped','no handler of type ''morning_brief'' is installed',NULL,'schedule',0,NULL,NULL,NULL);
INSERT INTO "task_runs" VALUES(10,10,'removed','2026-03-02T09:15:00+00:00',1,'2026-03-02T09:15:00+00:00','2026-03-02T09:15:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(11,1,'every 5 minutes','2026-03-02T09:20:00+00:00',1,'2026-03-02T09:20:00+00:00','2026-03-02T09:20:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(12,6,'fails','2026-03-02T09:20:00+00:00',1,'2026-03-02T09:20:00+00:00','2026-03-02T09:20:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(13,10,'removed','2026-03-02T09:20:00+00:00',1,'2026-03-02T09:20:00+00:00','2026-03-02T09:20:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(14,6,'fails','2026-03-02T09:10:00+00:00',2,'2026-03-02T09:25:00+00:00','2026-03-02T09:25:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(15,8,'late is useless','2026-03-02T09:23:00+00:00',1,'2026-03-02T09:25:00+00:00','2026-03-02T09:25:00+00:00','missed','2m late; more than 1m late is useless to it',NULL,'schedule',0,NULL,NULL,NULL);
INSERT INTO "task_runs" VALUES(16,1,'every 5 minutes','2026-03-02T09:25:00+00:00',1,'2026-03-02T09:25:00+00:00','2026-03-02T09:25:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(17,10,'removed','2026-03-02T09:25:00+00:00',1,'2026-03-02T09:25:00+00:00','2026-03-02T09:25:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(18,1,'every 5 minutes','2026-03-02T09:30:00+00:00',1,'2026-03-02T09:30:00+00:00','2026-03-02T09:30:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(19,6,'fails','2026-03-02T09:30:00+00:00',1,'2026-03-02T09:30:00+00:00','2026-03-02T09:30:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(20,7,'unknown type','2026-03-02T09:30:00+00:00',1,'2026-03-02T09:30:00+00:00','2026-03-02T09:30:00+00:00','skipped','no handler of type ''morning_brief'' is installed',NULL,'schedule',0,NULL,NULL,NULL);
INSERT INTO "task_runs" VALUES(21,10,'removed','2026-03-02T09:30:00+00:00',1,'2026-03-02T09:30:00+00:00','2026-03-02T09:30:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(22,6,'fails','2026-03-02T09:20:00+00:00',2,'2026-03-02T09:35:00+00:00','2026-03-02T09:35:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(23,1,'every 5 minutes','2026-03-02T09:35:00+00:00',1,'2026-03-02T09:35:00+00:00','2026-03-02T09:35:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(24,10,'removed','2026-03-02T09:35:00+00:00',1,'2026-03-02T09:35:00+00:00','2026-03-02T09:35:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(25,1,'every 5 minutes','2026-03-02T09:40:00+00:00',1,'2026-03-02T09:40:00+00:00','2026-03-02T09:40:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(26,6,'fails','2026-03-02T09:40:00+00:00',1,'2026-03-02T09:40:00+00:00','2026-03-02T09:40:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(27,10,'removed','2026-03-02T09:40:00+00:00',1,'2026-03-02T09:40:00+00:00','2026-03-02T09:40:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(28,6,'fails','2026-03-02T09:30:00+00:00',2,'2026-03-02T09:45:00+00:00','2026-03-02T09:45:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(29,1,'every 5 minutes','2026-03-02T09:45:00+00:00',1,'2026-03-02T09:45:00+00:00','2026-03-02T09:45:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(30,7,'unknown type','2026-03-02T09:45:00+00:00',1,'2026-03-02T09:45:00+00:00','2026-03-02T09:45:00+00:00','skipped','no handler of type ''morning_brief'' is installed',NULL,'schedule',0,NULL,NULL,NULL);
INSERT INTO "task_runs" VALUES(31,10,'removed','2026-03-02T09:45:00+00:00',1,'2026-03-02T09:45:00+00:00','2026-03-02T09:45:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(32,8,'late is useless','2026-03-02T09:46:00+00:00',1,'2026-03-02T09:50:00+00:00','2026-03-02T09:50:00+00:00','missed','4m late; more than 1m late is useless to it',NULL,'schedule',0,NULL,NULL,NULL);
INSERT INTO "task_runs" VALUES(33,6,'fails','2026-03-02T09:10:00+00:00',3,'2026-03-02T09:50:00+00:00','2026-03-02T09:50:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,'{"channel": "email", "attempts": 3, "status": "failed", "error": "the server does not answer", "again_at": "2026-03-02T03:55:00-07:00"}','4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(34,1,'every 5 minutes','2026-03-02T09:50:00+00:00',1,'2026-03-02T09:50:00+00:00','2026-03-02T09:50:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(35,6,'fails','2026-03-02T09:50:00+00:00',1,'2026-03-02T09:50:00+00:00','2026-03-02T09:50:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(36,10,'removed','2026-03-02T09:50:00+00:00',1,'2026-03-02T09:50:00+00:00','2026-03-02T09:50:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(37,6,'fails','2026-03-02T09:40:00+00:00',2,'2026-03-02T09:55:00+00:00','2026-03-02T09:55:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(38,1,'every 5 minutes','2026-03-02T09:55:00+00:00',1,'2026-03-02T09:55:00+00:00','2026-03-02T09:55:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(39,10,'removed','2026-03-02T09:55:00+00:00',1,'2026-03-02T09:55:00+00:00','2026-03-02T09:55:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(40,6,'fails','2026-03-02T09:20:00+00:00',3,'2026-03-02T10:40:00+00:00','2026-03-02T10:40:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,'{"channel": "email", "attempts": 1, "status": "failed", "error": "the server does not answer", "again_at": "2026-03-02T03:41:00-07:00"}','4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(41,6,'fails','2026-03-02T09:50:00+00:00',2,'2026-03-02T10:40:00+00:00','2026-03-02T10:40:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(42,6,'fails','2026-03-02T09:30:00+00:00',3,'2026-03-02T10:40:00+00:00','2026-03-02T10:40:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,'{"channel": "email", "attempts": 1, "status": "failed", "error": "the server does not answer", "again_at": "2026-03-02T03:41:00-07:00"}','4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(43,6,'fails','2026-03-02T09:40:00+00:00',3,'2026-03-02T10:40:00+00:00','2026-03-02T10:40:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',0,'{"channel": "email", "attempts": 1, "status": "failed", "error": "the server does not answer", "again_at": "2026-03-02T03:41:00-07:00"}','4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(44,7,'unknown type','2026-03-02T10:30:00+00:00',1,'2026-03-02T10:40:00+00:00','2026-03-02T10:40:00+00:00','skipped','no handler of type ''morning_brief'' is installed',NULL,'schedule',2,NULL,NULL,NULL);
INSERT INTO "task_runs" VALUES(45,8,'late is useless','2026-03-02T10:32:00+00:00',1,'2026-03-02T10:40:00+00:00','2026-03-02T10:40:00+00:00','missed','8m late; more than 1m late is useless to it',NULL,'schedule',1,NULL,NULL,NULL);
INSERT INTO "task_runs" VALUES(46,1,'every 5 minutes','2026-03-02T10:40:00+00:00',1,'2026-03-02T10:40:00+00:00','2026-03-02T10:40:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','schedule',8,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(47,6,'fails','2026-03-02T10:40:00+00:00',1,'2026-03-02T10:40:00+00:00','2026-03-02T10:40:00+00:00','error','RuntimeError: no such backup',NULL,'schedule',4,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(48,5,'paused','2026-03-02T10:40:00.000001+00:00',1,'2026-03-02T10:40:00+00:00','2026-03-02T10:40:00+00:00','executed',NULL,'{"status": "ok", "said": "h\u00e9\u202e"}','manual',0,NULL,'4242 1772442000',NULL);
INSERT INTO "task_runs" VALUES(49,5,'paused','2026-03-02T10:40:09+00:00',1,'2026-03-02T10:40:00+00:00','2026-03-02T10:40:00+00:00','interrupted','process 77, which ran it, ended before it was done',NULL,'schedule',0,NULL,'77 1772440000',NULL);
INSERT INTO "task_runs" VALUES(50,1,'every 5 minutes','2026-03-02T10:40:01+00:00',1,'2026-03-02T10:40:00+00:00',NULL,'running',NULL,NULL,'schedule',0,NULL,'4242 1772442000',1);
INSERT INTO "task_runs" VALUES(51,4,'once, to come','2026-03-02T10:40:01+00:00',1,'2026-03-02T10:40:00+00:00','2026-03-02T10:40:00+00:00','timeout','still running after 5m',NULL,'schedule',0,NULL,'4242 1772442000',1);
CREATE TABLE task_troubles (
    task_id INTEGER NOT NULL, kind TEXT NOT NULL, since TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (task_id, kind)
) WITHOUT ROWID;
INSERT INTO "task_troubles" VALUES(6,'failing','2026-03-02T09:50:00+00:00','RuntimeError: no such backup');
INSERT INTO "task_troubles" VALUES(6,'stale','2026-03-02T10:40:00+00:00','no success for more than 1h');
INSERT INTO "task_troubles" VALUES(8,'missed','2026-03-02T09:25:00+00:00','2m late; more than 1m late is useless to it');
INSERT INTO "task_troubles" VALUES(9,'set aside','2026-03-02T09:00:00+00:00','interval must be greater than zero in days, hours, minutes or seconds: {''minutes'': 0}');
CREATE TABLE webhook_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, event_type TEXT NOT NULL, payload TEXT,
    status TEXT NOT NULL DEFAULT 'pending', received_at TEXT, processed_at TEXT);
INSERT INTO "webhook_events" VALUES(1,'github','push','{"ref": "main"}','pending','2026-03-02T10:40:00+00:00',NULL);
CREATE TABLE webhook_files (
    inbox BLOB NOT NULL, file BLOB NOT NULL, PRIMARY KEY (inbox, file)
) WITHOUT ROWID;
INSERT INTO "webhook_files" VALUES(X'2F696E626F78',X'313A323A333A612E6A736F6E');
CREATE UNIQUE INDEX task_runs_live ON task_runs (task_id) WHERE live = 1;
CREATE INDEX task_runs_foreign ON task_runs (task_id) WHERE status = 'running' AND live IS NULL;
CREATE INDEX task_runs_by_task ON task_runs (task_id);
CREATE INDEX task_runs_by_start ON task_runs (started_at);
CREATE INDEX task_queue_due ON task_queue (due_at);
CREATE INDEX task_deadlines_due ON task_deadlines (due_at);
CREATE INDEX outbox_due ON outbox (due_at);
CREATE TRIGGER jarvis_task_added AFTER INSERT ON scheduled_tasks BEGIN
    DELETE FROM task_queue WHERE task_id = NEW.id AND attempt = 1;
    INSERT INTO task_queue (task_id, attempt, scheduled_for, due_at) VALUES (NEW.id, 1, 0, 0);
END;
CREATE TRIGGER jarvis_task_changed
AFTER UPDATE OF enabled, next_run_at, schedule_type, schedule_config, policy ON scheduled_tasks BEGIN
    DELETE FROM task_queue WHERE task_id = NEW.id AND attempt = 1;
    INSERT INTO task_queue (task_id, attempt, scheduled_for, due_at) VALUES (NEW.id, 1, 0, 0);
END;
CREATE TRIGGER jarvis_task_removed AFTER DELETE ON scheduled_tasks BEGIN
    DELETE FROM task_queue WHERE task_id = OLD.id;
    DELETE FROM task_troubles WHERE task_id = OLD.id;
    DELETE FROM task_deadlines WHERE task_id = OLD.id;
END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('scheduled_tasks',10);
INSERT INTO "sqlite_sequence" VALUES('task_runs',51);
INSERT INTO "sqlite_sequence" VALUES('outbox',8);
INSERT INTO "sqlite_sequence" VALUES('webhook_events',1);
INSERT INTO "sqlite_sequence" VALUES('alert_rules',1);
INSERT INTO "sqlite_sequence" VALUES('delegations',1);
INSERT INTO "sqlite_sequence" VALUES('decisions',1);
INSERT INTO "sqlite_sequence" VALUES('facts',1);
COMMIT;
