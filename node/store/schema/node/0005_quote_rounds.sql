-- What the sellers answered when this node asked them about a task: what the market screens look at. Answers are JSON.
CREATE TABLE quote_rounds (
    task_id BLOB PRIMARY KEY,
    skill TEXT NOT NULL,
    unix_ms INTEGER NOT NULL,
    answers TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX quote_rounds_by_skill ON quote_rounds (skill, unix_ms);
CREATE INDEX outcomes_by_skill ON outcomes (skill, unix_ms);
