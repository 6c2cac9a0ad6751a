-- The subnet of a seller that was unproven when money was promised to it, where it counts against that subnet's cap.
ALTER TABLE spending ADD COLUMN subnet TEXT NOT NULL DEFAULT '';
CREATE INDEX spending_by_subnet ON spending (subnet, day) WHERE subnet <> '';
