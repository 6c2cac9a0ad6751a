-- What the owner calls the task of an entry. The entry itself names an order by what the two parties call it, which is
-- another name with each contractor; so this is beside the chain, neither hashed nor signed. Null before this version.
ALTER TABLE entries ADD COLUMN task_id BLOB;
