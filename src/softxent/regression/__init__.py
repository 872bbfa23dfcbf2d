"""From a Dataset to a model and its predictions: the work of `softxent fit` and `softxent predict`.

training      fit on some rows, evaluation on the others
model_file    the model as a safetensors file               predictions   labels and probabilities as CSV or Parquet
"""
