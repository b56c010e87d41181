def format_tensor(a, **k): return f"tensor({a})"
def needs_summary(s): return False
def edge_slices(s): return []
def set_printoptions(*a,**k): pass
def get_printoptions(): pass
