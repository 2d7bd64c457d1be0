"""The Open Inference Protocol (v2) as Triton serves it, with binary tensors and `generate`; `infer_stream` is mlserver's.

Sources: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md; Triton's
user guide: "Binary Tensor Data Extension", "Generate Extension". TorchServe and KServe serve the same paths.
"""
