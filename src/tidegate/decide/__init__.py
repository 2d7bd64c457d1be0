"""Pure decisions: who may call, what it takes, where it goes, what it costs, and why.

Time and randomness are arguments.
"""
