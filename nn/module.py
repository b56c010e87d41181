"""``Module``: the base of all layers and models, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from .. import lazy as lx
from ..autograd import no_grad
from ..lazy import Tensor
from ..lazy.overrides import ANY_TENSOR
from ..lazy.replay.state import S
from .arguments import destination, typename
from .hooks import RemovableHandle, call_with_hooks, everywhere, register
from .parameter import Buffer, Parameter
from .state import Stateful

M = TypeVar("M", bound="Module")
_TABLES = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks",
    "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks", "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs",
)  # fmt: skip


class Module(Stateful):
    """The base of layers and models. Subclasses call ``super().__init__()``, assign parameters and submodules as
    attributes, and define ``forward``; calling the module runs its hooks and ``forward``."""

    training: bool
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]

    def __init__(self) -> None:
        put = super().__setattr__
        put("training", True)
        put("_parameters", {})
        put("_buffers", {})
        put("_non_persistent_buffers_set", set())
        put("_modules", {})
        for table in _TABLES:
            put(table, {})

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        own = self.__dict__
        if not own:
            raise AttributeError(f"'{type(self).__name__}' was called before its Module.__init__()")
        if S.capture is not None:
            S.capture.uses(self)
        hooks = own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"] or own["_backward_pre_hooks"]
        if hooks or everywhere:
            return call_with_hooks(self, args, kwargs)
        if own.get("_compiled") is not None:
            return own["_compiled"](*args, **kwargs)
        return self.forward(*args, **kwargs)

    def compile(self, *, dynamic: Mapping[str, int] | None = None, **ignored: Any) -> None:
        """Run ``forward`` as a program from now on (see ``lazyxla.compile``)."""
        super().__setattr__("_compiled", lx.compile(self.forward, dynamic=dynamic))

    # --- attributes ---

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(table)
            if found is not None and name in found:
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            self._ready("parameters")
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
        elif name in own.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
                )
            self.register_parameter(name, None)
        elif isinstance(value, Module):
            self._ready("module")
            self._forget(name, "_modules")
            own["_modules"][name] = value
        elif name in own.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{typename(value)}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            own["_modules"][name] = None
        elif isinstance(value, Buffer):
            self._ready("buffer")
            self._forget(name, "_buffers")
            self.register_buffer(name, value, value.persistent)
        elif name in own.get("_buffers", ()):
            if value is not None and not isinstance(value, ANY_TENSOR):
                raise TypeError(
                    f"cannot assign '{typename(value)}' as buffer '{name}' (torch.nn.Buffer, torch.Tensor or None "
                    "expected)"
                )
            self._rebinds(name, own["_buffers"][name], value)
            own["_buffers"][name] = value
        else:
            self._rebinds(name, own.get(name), value)
            super().__setattr__(name, value)

    def _rebinds(self, name: str, old: Any, new: Any) -> None:
        """Tell a recording that a tensor of this module is about to be another."""
        if S.capture is not None and isinstance(new, Tensor):
            S.capture.rebinds(self, name, old, new)

    def _put_back(self, name: str, value: Any) -> None:
        """Set a tensor that a compiled function has put here while it was recorded."""
        if name in self._buffers:
            self._buffers[name] = value
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*object.__dir__(self), *self._parameters, *self._buffers, *self._modules}
        return sorted(n for n in names if not n[0].isdigit())

    def _ready(self, what: str) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")

    def _forget(self, name: str, keep: str) -> None:
        """An attribute that becomes a parameter, buffer or module is no longer what it was."""
        self.__dict__.pop(name, None)
        for table in ("_parameters", "_buffers", "_modules"):
            if table != keep:
                self.__dict__[table].pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def _check_name(self, name: str, kind: str, table: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
        if "." in name:
            raise KeyError(
                f'{kind} name can\'t contain ".", got: {name}'
                if kind == "module"
                else f'{kind} name can\'t contain "."'
            )
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in table:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None keeps the name for one that is not there. KeyError or TypeError where it is not one."""
        self._ready("parameter")
        self._check_name(name, "parameter", self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{typename(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
            )
        if param is not None and not param.is_leaf:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To "
                "express "
                f"'{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is not trained; in the state dict if ``persistent``."""
        self._ready("buffer")
        self._check_name(name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, ANY_TENSOR):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        self._buffers[name] = tensor
        (self._non_persistent_buffers_set.discard if persistent else self._non_persistent_buffers_set.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module."""
        self._ready("module")
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{typename(module)} is not a Module subclass")
        self._check_name(name, "module", self._modules)
        self._modules[name] = module

    register_module = add_module

    # --- what is in it ---

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their names; each once unless ``remove_duplicate`` is false."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        for _, m in self.named_modules():
            yield m

    def named_children(self) -> Iterator[tuple[str, Module]]:
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        for _, m in self.named_children():
            yield m

    def _named(self, table: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for at, m in self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]:
            for name, t in m.__dict__[table].items():
                if t is None or (remove_duplicate and id(t) in seen):
                    continue
                seen.add(id(t))
                yield f"{at}.{name}" if at else name, t

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their names; one that is held twice comes once."""
        yield from self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        for _, p in self._named("_parameters", "", recurse, True):
            yield p

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their names."""
        yield from self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        for _, b in self._named("_buffers", "", recurse, True):
            yield b

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; AttributeError where there is none."""
        module = self
        for name in target.split(".") if target else []:
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a dotted path; ``strict``: only where there is one. AttributeError for a path that ends."""
        path, _, name = target.rpartition(".")
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        parent = self.get_submodule(path)
        if strict and not isinstance(getattr(parent, name, None), Module):
            raise AttributeError(f"`{parent._get_name()}` has no attribute `{name}`")
        setattr(parent, name, module)

    def _get_tensor(self, target: str, table: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if name not in module.__dict__[table]:
            raise AttributeError(f"`{name}` is not {kind}")
        return module.__dict__[table][name]

    def get_parameter(self, target: str) -> Parameter:
        return self._get_tensor(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        return self._get_tensor(target, "_buffers", "a buffer")

    # --- modes, types and devices ---

    def train(self: M, mode: bool = True) -> M:
        """Training mode for this module and all below it."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self: M) -> M:
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (or set them to zero)."""
        for p in self.parameters():
            if p.grad is None:
                continue
            if set_to_none:
                p.grad = None
            else:
                p.grad = lx.zeros_like(p.grad)

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """``fn`` on every module, children first."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def _apply(self: M, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> M:
        """``fn`` on every tensor; parameters keep their identity, so optimizers made before go on working."""
        if recurse:
            for child in self.children():
                child._apply(fn)
        with no_grad():
            for p in self._parameters.values():
                if p is None:
                    continue
                moved = fn(p)
                if moved is not p:
                    p.data = moved
                grad = p.grad
                if grad is not None:
                    moved = fn(grad)
                    if moved is not grad:
                        grad.data = moved
            for name, b in self._buffers.items():
                if b is not None:
                    self._buffers[name] = fn(b)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """``to(device)``, ``to(dtype)``, ``to(device, dtype)``, ``to(tensor)``, in place; integers keep their type.

        Raises TypeError for a type that is neither floating nor complex.
        """
        device, dtype = destination(args, kwargs)
        if dtype is not None and not dtype.is_inexact:
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )

        def move(t: Tensor) -> Tensor:
            if t.is_meta and device is not None and not lx.device(device).is_meta:
                raise NotImplementedError(
                    "Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of "
                    "torch.nn.Module.to() when moving module from meta to a different device."
                )
            return t.to(device=device, dtype=dtype if t.dtype.is_inexact else None)

        return self._apply(move)

    def cpu(self: M) -> M:
        return self._apply(lambda t: t.cpu())

    def cuda(self: M, device: Any = None) -> M:
        return self._apply(lambda t: t.cuda(device))

    def xla(self: M, device: Any = None) -> M:
        return self._apply(lambda t: t.xla(device))

    def type(self: M, dst_type: Any) -> M:
        """Every tensor in the type, integers too."""
        return self._apply(lambda t: t.type(dst_type))

    def _to_float(self: M, dtype: Any) -> M:
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def float(self: M) -> M:
        return self._to_float(lx.float32)

    def double(self: M) -> M:
        return self._to_float(lx.float64)

    def half(self: M) -> M:
        return self._to_float(lx.float16)

    def bfloat16(self: M) -> M:
        return self._to_float(lx.bfloat16)

    def to_empty(self: M, *, device: Any, recurse: bool = True) -> M:
        """On the device, with values that do not matter."""
        return self._apply(lambda t: lx.empty_like(t, device=device), recurse)

    # --- hooks ---

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after forward; what it returns (not None) is the new output."""
        own = self.__dict__
        notes = [own["_forward_hooks_with_kwargs"]] * with_kwargs + [own["_forward_hooks_always_called"]] * always_call
        return register(own["_forward_hooks"], hook, prepend, notes)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before forward; what it returns (not None) are the new arguments."""
        own = self.__dict__
        return register(own["_forward_pre_hooks"], hook, prepend, [own["_forward_pre_hooks_with_kwargs"]] * with_kwargs)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the module's inputs are known; what it
        returns (not None) are the new gradients of the inputs."""
        return register(self.__dict__["_backward_hooks"], hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the gradients flow through the module; what it returns (not None)
        are the new gradients of its outputs."""
        return register(self.__dict__["_backward_pre_hooks"], hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after ``state_dict`` filled in this module."""
        return register(self.__dict__["_state_dict_hooks"], hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before ``state_dict`` reads this module."""
        return register(self.__dict__["_state_dict_pre_hooks"], hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors)`` before loading."""
        return register(self.__dict__["_load_state_dict_pre_hooks"], hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after loading."""
        return register(self.__dict__["_load_state_dict_post_hooks"], hook)

    # as programs written before PyTorch 2.5 say it; the hook then gets no module, unless asked for
    _register_state_dict_hook = register_state_dict_post_hook
    register_backward_hook = register_full_backward_hook

    def _register_load_state_dict_pre_hook(self, hook: Callable[..., Any], with_module: bool = False) -> RemovableHandle:
        return self.register_load_state_dict_pre_hook(hook if with_module else lambda module, *rest: hook(*rest))

    # --- text ---

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """What stands between the brackets of this module's own line; for subclasses to say."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {indented(repr(child))}" for name, child in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        body = "\n  ".join(lines + children)
        return f"{self._get_name()}(\n  {body}\n)" if body else f"{self._get_name()}()"


def indented(text: str, spaces: int = 2) -> str:
    """All lines but the first moved to the right."""
    return text.replace("\n", "\n" + " " * spaces)
