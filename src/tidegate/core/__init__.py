"""The types that flow between the layers. Imports nothing of ours."""
