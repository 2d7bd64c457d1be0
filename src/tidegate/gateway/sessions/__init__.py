"""Realtime sessions: two WebSockets and what passes between them, reserved for and recorded response by response."""
