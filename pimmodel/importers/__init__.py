"""Networks from other tools: :mod:`onnx_graph` reads ONNX files, :mod:`torch_module` reads `torch.nn.Module`.

Neither imports its framework before it is called.
"""
