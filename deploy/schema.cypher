// The schema that the database is to have: CREATE INDEX and CREATE CONSTRAINT statements, one each.
// It is applied at the start of Neo4j; what differs is reported, and never dropped.
CREATE CONSTRAINT memory_id FOR (m:Memory) REQUIRE m.id IS UNIQUE;
