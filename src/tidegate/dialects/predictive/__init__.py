"""Predictive models over HTTP: Open Inference Protocol (KServe, mlserver, Triton), TensorFlow Serving, TorchServe."""

from tidegate.dialects.predictive.native import JSON_LENGTH
from tidegate.dialects.predictive.oip import OpenInference
from tidegate.dialects.predictive.tfserving import TensorFlowServing
from tidegate.dialects.predictive.torchserve import TorchServe

__all__ = ["JSON_LENGTH", "OpenInference", "TensorFlowServing", "TorchServe"]
