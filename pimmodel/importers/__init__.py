"""Networks from other tools: :mod:`onnx_graph` reads ONNX files, :mod:`torch_module` reads `torch.nn.Module`.

Neither imports its framework before it is called.
"""

from typing import Literal

# What becomes of an operator that is not modelled: an error, or one pass over its input.
UnknownOps = Literal["error", "elementwise"]
