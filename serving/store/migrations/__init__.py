"""How the schema came about, one file a step, run by Alembic when a store is opened."""
