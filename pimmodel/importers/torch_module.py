"""Networks from `torch.nn.Module`.

The module is copied to PyTorch's "meta" device, which knows shapes but holds and computes nothing, and traced there:
by torch.fx, which keeps the names of modules, or, where its Python code decides by shapes, by torch.export. Shapes
come from this library's own layers and are compared with PyTorch's at every call.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pimmodel.errors import MissingExtraError, NetworkError
from pimmodel.importers import UnknownOps
from pimmodel.importers.draft import Draft, Feature
from pimmodel.importers.torch_modules import convert_module
from pimmodel.importers.torch_ops import FUNCTIONS, Call, Weight
from pimmodel.network.network import Network
from pimmodel.network.ops import Elementwise, Input


def import_torch(
    module: Any,
    batch: int = 1,
    input_shape: Sequence[int] = (3, 224, 224),
    name: str | None = None,
    unknown_ops: UnknownOps = "error",
) -> Network:
    """Trace a module with one input tensor as a network.

    Parameters
    ----------
    module : a `torch.nn.Module`; it is neither changed nor run, and its weights are not copied
    batch : N [1]
    input_shape : shape of one sample, (C, H, W) for an image [1]
    name : the network's name; default: the module's class
    unknown_ops : "error", or "elementwise" to take an unknown call as one pass over its input

    Raises
    ------
    NetworkError
        The module cannot be traced, or calls something that is not modelled; the message names the call.
    MissingExtraError
        PyTorch is not installed.

    Notes
    -----
    The trace is made in evaluation mode (auxiliary classifiers that run only in training are left out), but dropout
    is kept, because the training step runs it.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError("PyTorch import", "torch") from None
    if not isinstance(module, torch.nn.Module):
        raise NetworkError(f"not a torch.nn.Module: {type(module).__name__}")
    name = name or type(module).__name__
    shape = (batch, *(int(size) for size in input_shape))
    if min(shape) < 1:
        raise NetworkError(f"module {name}: batch and sizes of the input must be at least 1, not {shape}")
    twin = _meta_copy(module, torch)
    try:
        trace = _fx_trace(twin, shape, torch)
        if trace is None:
            trace = _export_trace(twin, shape, torch)
        return _Walk(trace, Draft(name), shape, unknown_ops).network()
    except NetworkError as error:
        raise NetworkError(f"module {name}: {error}") from None


def _meta_copy(module: Any, torch: Any) -> Any:
    """A copy in evaluation mode on the meta device; parameters that are shared stay shared."""
    memo: dict[int, Any] = {}
    for tensor in module.parameters():
        memo[id(tensor)] = torch.nn.Parameter(
            torch.empty_like(tensor, device="meta"), requires_grad=tensor.requires_grad
        )
    for tensor in module.buffers():
        memo[id(tensor)] = torch.empty_like(tensor, device="meta")
    return copy.deepcopy(module, memo).eval()


class _Trace:
    """A traced graph: its nodes, what each made, and the weights by node."""

    def __init__(self, graph: Any, results: Mapping[Any, Any], weights: Mapping[Any, Weight], modules: Any) -> None:
        self.graph, self.results, self.weights, self.modules = graph, results, weights, modules
        self.owners: dict[int, str] = {}  # the first name of each parameter, by identity
        if modules is not None:
            for key, parameter in modules.named_parameters():
                self.owners.setdefault(id(parameter), key)

    def named(self, tensor: Any, name: str) -> Weight | None:
        """A module's tensor as a weight; tied parameters have one name."""
        if tensor is None:
            return None
        shape = tuple(int(size) for size in tensor.shape)
        return Weight(self.owners.get(id(tensor), name), shape, bool(id(tensor) in self.owners))


def _fx_trace(twin: Any, shape: tuple[int, ...], torch: Any) -> _Trace | None:
    """Trace by torch.fx; None where the module's code needs values that fx does not have."""
    try:
        traced = torch.fx.symbolic_trace(twin)
    except Exception:  # anything: fx runs the module's own code on placeholders
        return None
    results: dict[Any, Any] = {}

    class Recorder(torch.fx.Interpreter):  # type: ignore[misc]
        def run_node(self, n: Any) -> Any:
            results[n] = super().run_node(n)
            return results[n]

    try:
        with torch.no_grad():
            Recorder(traced).run(torch.empty(shape, device="meta"))
    except Exception as error:
        raise NetworkError(f"cannot run on an input of shape {shape}: {_first_line(error)}") from None
    return _Trace(traced.graph, results, {}, traced)


def _export_trace(twin: Any, shape: tuple[int, ...], torch: Any) -> _Trace:
    try:
        program = torch.export.export(twin, (torch.empty(shape, device="meta"),))
    except Exception as error:
        raise NetworkError(
            f"neither torch.fx nor torch.export can trace it for an input of shape {shape}: {_first_line(error)}"
        ) from None
    signature = program.graph_signature
    lifted = dict(signature.inputs_to_parameters)
    buffers = {**signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
    results = {node: node.meta.get("val") for node in program.graph.nodes}
    weights = {}
    for node in program.graph.nodes:
        name = lifted.get(node.name) or buffers.get(node.name)
        if node.op == "placeholder" and name is not None:
            shape_of = tuple(int(size) for size in node.meta["val"].shape)
            weights[node] = Weight(name, shape_of, node.name in lifted)
    return _Trace(program.graph, results, weights, None)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


class _Walk:
    """Turns the calls of a trace into layers, one after another."""

    def __init__(self, trace: _Trace, draft: Draft, shape: tuple[int, ...], unknown_ops: UnknownOps) -> None:
        self.trace, self.draft, self.shape, self.unknown_ops = trace, draft, shape, unknown_ops
        self.values: dict[Any, Any] = {}

    def network(self) -> Network:
        outputs: list[Any] = []
        for node in self.trace.graph.nodes:
            if node.op == "output":
                outputs = list(_features(self._filled(node.args)))
            else:
                self.values[node] = self._value(node)
        if not outputs:
            raise NetworkError("no output depends on the input")
        return self.draft.build(feature.layer for feature in outputs)

    def _filled(self, argument: Any) -> Any:
        """An argument of the trace with each node replaced by what it made."""
        if isinstance(argument, tuple | list):
            return type(argument)(self._filled(item) for item in argument)
        if isinstance(argument, dict):
            return {key: self._filled(item) for key, item in argument.items()}
        if isinstance(argument, slice):
            return slice(self._filled(argument.start), self._filled(argument.stop), self._filled(argument.step))
        if hasattr(argument, "op") and hasattr(argument, "users"):  # torch.fx.Node
            return self.values[argument]
        return argument

    def _value(self, node: Any) -> Any:
        trace = self.trace
        if node in trace.weights:
            return trace.weights[node]
        result = trace.results.get(node)
        if node.op == "placeholder":
            if any(isinstance(value, Feature) for value in self.values.values()):
                return result  # a further argument with a default
            return Feature(self.draft.add(Input(self.shape), name=str(node.name)))
        if node.op == "get_attr":
            return trace.named(result, str(node.target)) if hasattr(result, "shape") else result
        args, kwargs = self._filled(node.args), self._filled(node.kwargs)
        if not any(_is_tensor(item) for item in _flat(result)):
            return result  # sizes and the arithmetic with them
        given = list(_flat((args, kwargs)))
        if not any(isinstance(item, Feature) for item in given):
            weights = [item for item in given if isinstance(item, Weight)]
            if not weights or not _is_tensor(result):
                return result
            return replace(weights[0], shape=tuple(int(size) for size in result.shape))  # type: ignore[union-attr]
        made = self._convert(node, result, args, kwargs)
        self._check(node, made, result)
        return made

    def _convert(self, node: Any, result: Any, args: Any, kwargs: Any) -> Any:
        if node.op == "call_module":
            module = self.trace.modules.get_submodule(node.target)
            call = Call(self.draft, str(node.target), result)
            converted = convert_module(call, module, self.trace.named, *args, **kwargs)
            kind = f"module '{node.target}' ({type(module).__name__})"
        else:
            names = _function_names(node)
            call = Call(self.draft, _layer_name(node), result)
            converter = next((FUNCTIONS[name] for name in names if name in FUNCTIONS), None)
            kind = f"call '{names[-1]}' (in '{call.name}')"
            converted = NotImplemented
            if converter is not None:
                try:
                    converted = converter(call, *args, **kwargs)
                except (TypeError, AttributeError, ValueError) as error:
                    raise NetworkError(f"{kind}: its arguments are not supported ({_first_line(error)})") from None
        if converted is not NotImplemented:
            return converted
        if self.unknown_ops == "elementwise" and _is_tensor(result):
            inputs = [item for item in _flat((args, kwargs)) if isinstance(item, Feature)]
            return call.add(Elementwise(kind), *inputs)
        raise NetworkError(f"{kind} is not known; with unknown_ops='elementwise' it counts as one pass over its input")

    def _check(self, node: Any, made: Any, result: Any) -> None:
        """PyTorch and the layers must agree on every shape."""
        if isinstance(made, Feature) and _is_tensor(result):
            ours, theirs = self.draft.shape(made.layer), tuple(int(size) for size in result.shape)
            if ours != theirs:
                raise NetworkError(f"call '{node.name}': modelled with shape {ours}, but PyTorch makes {theirs}")


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        for item in value:
            yield from _flat(item)
    elif isinstance(value, dict):
        yield from _flat(list(value.values()))
    else:
        yield value


def _features(value: Any) -> Iterator[Feature]:
    return (item for item in _flat(value) if isinstance(item, Feature))


def _function_names(node: Any) -> list[str]:
    """Names to look a call up by, the most specific first; in-place variants go without their underscore."""
    if node.op == "call_method":
        return [str(node.target).rstrip("_")]
    if hasattr(node.target, "overloadpacket"):  # aten::mean.dim
        plain = str(node.target.overloadpacket).rpartition(".")[2].rstrip("_")
        return [f"aten.{plain}", plain]
    plain = str(getattr(node.target, "__name__", node.target)).rstrip("_")
    return [plain]


def _layer_name(node: Any) -> str:
    """The module's path where a torch.nn module was exported, else the call's own name."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if stack and hasattr(node.target, "overloadpacket"):
        path, kind = stack[-1][0], str(stack[-1][1])
        if path and kind.startswith("torch.nn.modules"):
            return str(path)
    return str(node.name)
