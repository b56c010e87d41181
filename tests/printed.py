"""What tests/lazy/test_printing.py prints: expressions and options that PyTorch and lazyxla both take.

``scripts/printing_values.py`` keeps PyTorch's text.
"""

from __future__ import annotations

from typing import Any

EXPRESSIONS = """
tensor(3)
tensor(True)
tensor(1+2j)
tensor([])
zeros(0,3)
zeros(2,0,dtype=int64)
tensor([],dtype=float64)
tensor([],dtype=bool)
tensor(float('nan'))
tensor([1.5,float('inf'),float('-inf'),float('nan')])
tensor([1e-5,1.])
tensor([1e8,1.])
tensor([1e9,2e9])
tensor([123456789.])
tensor([0.1,1000.])
tensor([0.1,99999.])
tensor([1+2j,3-4.5j])
tensor([1e10+1j])
tensor([complex(float('nan'),float('inf'))])
tensor([complex(0,-0.0),1j])
tensor([[1+1j,2],[3,4j]],dtype=complex128)
arange(30.)
arange(100)
arange(2000.)
arange(2000)
arange(10000).reshape(100,100)
ones(3,1001)
zeros(1001,2,dtype=bool)
ones(2,3,4,5)
ones(1,1,1,1)
ones(2,dtype=float16)
tensor([1.5,2.25],dtype=bfloat16)
tensor([-1,200],dtype=int16)
tensor([1,2],dtype=uint8)
tensor([1,2],dtype=uint16)
tensor([True,False])
ones(3,requires_grad=True)
ones(3,requires_grad=True)+1
ones(3,requires_grad=True).sum()
(ones(3,requires_grad=True)*2).exp()
ones(3,dtype=float64,requires_grad=True)
ones(2,2,requires_grad=True)@ones(2,2)
ones(4,requires_grad=True).reshape(2,2)
-ones(2,requires_grad=True)
ones(2,requires_grad=True)/2
ones(2,requires_grad=True)-2
ones(2,requires_grad=True).sqrt()
ones(2,requires_grad=True).log()
ones(2,requires_grad=True).tanh()
ones(2,requires_grad=True).sigmoid()
ones(2,requires_grad=True).abs()
ones(2,requires_grad=True).clone()
ones(2,requires_grad=True).double()
cat([ones(2,requires_grad=True),ones(2)])
ones(2,requires_grad=True).cumsum(0)
ones(2,requires_grad=True).view(2,1)
tensor([[1e-4,1.],[3.,4.]])
tensor([-1e-4,1e4])
tensor([1e-3,1e-4,1e-5])
tensor([1,-1])
tensor([-1.5,0.])
tensor(-0.)
tensor([100.,-2.25])
arange(25.)*1000
arange(25.)/3e5
tensor([[float('nan')]*12]*2)
full((2,11),1234.5)
tensor([2.**40])
tensor([1e38,1e-38])
ones(2,3)[:,:0]
ones(1200)[::2]
arange(1001,dtype=float64)
arange(1001,dtype=int32)
ones(1001,requires_grad=True)
zeros(20,dtype=complex64)
tensor(1e-10,dtype=float64)
tensor([9.99999,1])
tensor([0.99999])
tensor([99999.99])
tensor([1.0,2.0],dtype=float8_e4m3fn)
tensor([1.0,0.5],dtype=float8_e5m2)
""".strip().splitlines()
OPTIONS = [
    "", "precision=2", "precision=0", "threshold=5", "threshold=5, edgeitems=1", "edgeitems=0, threshold=3", "linewidth=40",
    "linewidth=200", "sci_mode=True", "sci_mode=False", "profile='short'", "profile='full'",
]  # fmt: skip


def cases() -> list[tuple[str, str]]:
    """(options, expression); narrow lines break elsewhere where a name is longer by a letter, so no types there."""
    return [
        (o, e) for o in OPTIONS for e in EXPRESSIONS
        if not (("linewidth" in o or "sci" in o) and "dtype" in e) and not (o == "profile='full'" and "000" in e)
    ]  # fmt: skip


def text(lib: Any, options: str, expression: str, run: Any) -> str:
    """How ``lib`` prints it."""
    names = {n: getattr(lib, n) for n in dir(lib) if not n.startswith("_")} | {"float": float, "complex": complex}
    lib.set_printoptions(profile="default")
    try:
        run(f"set_printoptions({options})", names)
        return repr(run(expression, names)).replace("torch.", "lazyxla.")
    finally:
        lib.set_printoptions(profile="default")
