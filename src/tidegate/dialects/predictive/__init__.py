"""Predictive models behind an HTTP API: Open Inference Protocol (KServe, mlserver, Triton) and TensorFlow Serving."""

from tidegate.dialects.predictive.oip import OpenInference
from tidegate.dialects.predictive.tfserving import TensorFlowServing

__all__ = ["OpenInference", "TensorFlowServing"]
