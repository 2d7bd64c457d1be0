"""The ledger on SQLite: what the spools held, kept for reports, budgets and explanations. No part of a call's path."""
