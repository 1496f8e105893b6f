-- Makes a database of version 2.0.0 one that version 1.0.0 reads; docs/upgrading.md says when.
-- Every row of the history stays. What 2.0.0 has added besides stays too, and 1.0.0 ignores it.
-- With the daemon stopped: sqlite3 data/memory.db < docs/back-to-1.0.0.sql
BEGIN IMMEDIATE;

-- 1.0.0 cannot hold a task, so what is held is paused.
UPDATE scheduled_tasks SET enabled = 0 WHERE id IN (SELECT task_id FROM task_troubles WHERE kind = 'held');

-- It stops at kinds of trouble that it does not know.
DELETE FROM task_troubles WHERE kind NOT IN ('failing', 'missed', 'stale', 'set aside');

-- It makes its own triggers again when it finds that these are missing, and reads every task then.
DROP TRIGGER IF EXISTS jarvis_task_added;
DROP TRIGGER IF EXISTS jarvis_task_changed;
DROP TRIGGER IF EXISTS jarvis_task_removed;

DELETE FROM jarvis_meta WHERE key = 'half_way_up';
UPDATE jarvis_meta SET value = '1' WHERE key = 'schema_version';
COMMIT;
