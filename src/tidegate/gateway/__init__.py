"""The life of one call: listen, admit, attempt, stream, settle, record. Callbacks on one event loop; no task per call."""
