"""TensorFlow Serving's REST API: predict by rows and by columns, classify, regress, status and metadata.

Source: https://www.tensorflow.org/tfx/serving/api_rest.
"""
