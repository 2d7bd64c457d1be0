"""TorchServe's inference API: predictions, explanations, health. Its `/v2` is the Open Inference Protocol's.

Source: https://docs.pytorch.org/serve/inference_api.html.
"""
