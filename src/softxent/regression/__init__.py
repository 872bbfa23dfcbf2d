"""From a Dataset to a model and its predictions: what `softxent fit` and `softxent predict` do.

training      fit, on some rows; evaluation on the others
model_file    the model as a safetensors file               predictions   labels and probabilities as CSV or Parquet
"""
