"""The spool: where a worker's usage events are safe before the last byte of an answer leaves. Knows no database."""
